#include "base/suggest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace holdfast {
namespace {

// Levenshtein distance.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(const std::string& name, const std::vector<std::string>& options) {
  std::string best;
  // Of a very short name any two letters would be near.
  std::size_t best_distance = (name.size() <= 3 ? 1 : std::max<std::size_t>(2, name.size() / 3)) + 1;
  for (const auto& option : options) {
    const std::size_t distance = edit_distance(name, option);
    if (distance < best_distance) {
      best_distance = distance;
      best = option;
    }
  }
  return best;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& options) {
  const std::string near = nearest(name, options);
  if (!near.empty()) return " Did you mean \"" + near + "\"?";
  if (options.empty()) return "";
  std::string known = " Known:";
  for (const auto& option : options) known += (&option == &options.front() ? " " : ", ") + option;
  return known + ".";
}

}  // namespace holdfast
