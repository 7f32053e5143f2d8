#include "queue/posting.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

namespace holdfast {
namespace {

constexpr std::size_t kWeightsLength = 16;
constexpr double kWarmBonus = 1.5;  // as Schedule has it
constexpr double kPace = 1.5;       // an estimate may be wrong by so much
constexpr double kMost = 0.6;       // of a worker's time

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

std::optional<std::int64_t> number_in(const std::string& text) {
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::stoll(text);
}

std::string thousandths(double value) {
  return std::to_string(std::llround(1000 * std::clamp(std::isfinite(value) ? value : 0.0, 0.0, 1e11)));
}

// What is longer than the whole time of such a worker is begun by one that has most of it left, and goes on with the next one.
bool is_in_time(const Posting& posting, const Offer& offer) {
  if (!offer.seconds) return true;
  const double whole = offer.whole.value_or(*offer.seconds);
  const double needed = posting.seconds * kPace;
  return *offer.seconds >= (needed > whole ? kMost * whole : needed);
}

bool fits(const Posting& posting, const Offer& offer) {
  if (!offer.devices.contains(posting.device)) return false;
  if (!is_in_time(posting, offer)) return false;
  return !offer.gib || posting.gib <= *offer.gib;
}

}  // namespace

std::string posting_name(const Posting& posting, const Takes& takes) {
  const std::string weights = posting.weights.empty() ? "none" : posting.weights.substr(0, kWeightsLength);
  return thousandths(posting.path) + "." + thousandths(posting.seconds) + "." + thousandths(posting.gib) + "." +
         (posting.finishes ? "last" : "more") + "." + posting.device + "." + weights + "." + posting.id + "~" +
         std::to_string(takes.taken) + "~" + std::to_string(takes.lost);
}

std::optional<NamedPosting> posting_named(const std::string& name) {
  const auto ends = split(name, '~');
  if (ends.size() != 3) return std::nullopt;
  const auto parts = split(ends[0], '.');
  if (parts.size() != 7 || parts[6].empty()) return std::nullopt;
  const auto path = number_in(parts[0]), seconds = number_in(parts[1]), gib = number_in(parts[2]);
  const auto taken = number_in(ends[1]), lost = number_in(ends[2]);
  if (!path || !seconds || !gib || !taken || !lost) return std::nullopt;
  NamedPosting found;
  found.name = name;
  found.posting.id = parts[6];
  found.posting.path = static_cast<double>(*path) / 1000;
  found.posting.seconds = static_cast<double>(*seconds) / 1000;
  found.posting.gib = static_cast<double>(*gib) / 1000;
  found.posting.finishes = parts[3] == "last";
  found.posting.device = parts[4];
  if (parts[5] != "none") found.posting.weights = parts[5];
  found.takes = {*taken, *lost};
  return found;
}

std::vector<std::size_t> in_order(const std::vector<NamedPosting>& postings, const Offer& offer) {
  std::set<std::string> warm;
  for (const auto& digest : offer.warm) warm.insert(digest.substr(0, kWeightsLength));
  // Rows that can be finished at once come first; a way on warm weights counts for more.
  std::vector<std::tuple<bool, double, std::size_t>> order;
  for (std::size_t i = 0; i < postings.size(); ++i) {
    const Posting& posting = postings[i].posting;
    if (!fits(posting, offer)) continue;
    const bool is_warm = warm.contains(posting.weights);
    const bool at_once = posting.finishes && (is_warm || posting.weights.empty());
    order.emplace_back(!at_once, at_once ? posting.path : -posting.path * (is_warm ? kWarmBonus : 1), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::size_t> places;
  for (const auto& [later, way, place] : order) places.push_back(place);
  return places;
}

}  // namespace holdfast
