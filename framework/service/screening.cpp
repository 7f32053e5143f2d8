#include "service/screening.h"

#include <string>
#include <unordered_map>

#include "data/formats.h"

namespace holdfast {
namespace {

std::string text_of(const Example& row) { return canonical(example_to_json({row.messages, {}, ""})); }

}  // namespace

ScreenedRows compare_rows(const Dataset& submitted, const Dataset& kept) {
  std::unordered_map<std::string, std::int64_t> left;  // of those that were kept, not found among the submitted yet
  for (const auto& row : kept) ++left[text_of(row)];
  ScreenedRows rows;
  rows.submitted = static_cast<std::int64_t>(submitted.size());
  for (std::int64_t number = 1; number <= rows.submitted; ++number) {
    const auto found = left.find(text_of(submitted[static_cast<std::size_t>(number - 1)]));
    if (found == left.end() || found->second == 0) {
      rows.dropped.push_back(number);
    } else {
      --found->second;
    }
  }
  rows.added = static_cast<std::int64_t>(kept.size()) - (rows.submitted - static_cast<std::int64_t>(rows.dropped.size()));
  return rows;
}

}  // namespace holdfast
