#include "work/gang.h"

#include <algorithm>
#include <numeric>

namespace holdfast {
namespace {

using Wide = unsigned __int128;

bool is_peak(const std::string& figure) { return figure.starts_with("peak_"); }

// What falls on those up to, and without, a place where all weights before it add up to `before`.
Json part_of(const Json& figure, std::int64_t before, std::int64_t own, std::int64_t all) {
  if (figure.is_number_integer()) {
    const auto whole = figure.get<std::uint64_t>();
    const auto up_to = [&](std::int64_t sum) { return static_cast<std::uint64_t>(Wide(whole) * Wide(sum) / Wide(all)); };
    return up_to(before + own) - up_to(before);
  }
  return figure.get<double>() * static_cast<double>(own) / static_cast<double>(all);
}

}  // namespace

std::vector<Json> divided(const Json& cost, const std::vector<std::int64_t>& tokens) {
  std::vector<std::int64_t> weights = tokens;
  if (std::all_of(weights.begin(), weights.end(), [](std::int64_t each) { return each == 0; })) {
    weights.assign(weights.size(), 1);
  }
  const std::int64_t all = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  std::vector<Json> parts;
  std::int64_t before = 0;
  for (const std::int64_t own : weights) {
    Json part = Json::object();
    for (const auto& [name, figure] : cost.items()) part[name] = is_peak(name) ? figure : part_of(figure, before, own, all);
    parts.push_back(std::move(part));
    before += own;
  }
  return parts;
}

}  // namespace holdfast
