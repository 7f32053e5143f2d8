#include <holdfast/error.h>
#include <holdfast/row_ranking.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace holdfast {

std::vector<std::size_t> ranked(const std::vector<double>& scores, const std::string& who) {
  std::vector<std::size_t> places(scores.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  for (const auto place : places) {
    if (std::isfinite(scores[place])) continue;
    throw Error(who + " finds a score of " + std::to_string(scores[place]) + " for row " + std::to_string(place + 1) +
                ", by which nothing can be ranked: the model's states are not finite");
  }
  std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return places;
}

TopRows::TopRows(Params& params, std::string who, double share)
    : who_(std::move(who)),
      select_(params.choice("select", "share", {"share", "count", "threshold"},
                            "which rows are dropped: a share or a number of them, those of the highest scores, or all above a "
                            "threshold")),
      count_(params.integer("count", 1000, "select = \"count\": how many")),
      share_(params.number("share", share, "select = \"share\": that share of the rows, rounded to the nearest number", 0, 1)),
      threshold_(params.number("threshold", 0, "select = \"threshold\": rows with a score above it")) {}

Dataset TopRows::dropped(Dataset rows, const std::vector<double>& scores, Context& context) const {
  const std::vector<std::size_t> places = ranked(scores, who_);
  const std::size_t top = number(scores);
  std::vector<bool> goes(rows.size(), false);
  for (std::size_t i = 0; i < top; ++i) goes[places[i]] = true;
  Dataset kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!goes[i]) kept.push_back(std::move(rows[i]));
  }
  context.report("dropped", static_cast<double>(top), static_cast<std::int64_t>(rows.size()));
  return kept;
}

std::size_t TopRows::number(const std::vector<double>& scores) const {
  if (select_ == "threshold") {
    return static_cast<std::size_t>(std::count_if(scores.begin(), scores.end(), [&](double s) { return s > threshold_; }));
  }
  if (select_ == "share") return static_cast<std::size_t>(std::llround(share_ * static_cast<double>(scores.size())));
  if (static_cast<std::size_t>(count_) <= scores.size()) return static_cast<std::size_t>(count_);
  throw Error(who_ + " is to drop " + std::to_string(count_) + " rows and the customer submitted " +
              std::to_string(scores.size()) + ": lower \"count\", or set select = \"share\"");
}

}  // namespace holdfast
