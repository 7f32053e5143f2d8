#include <holdfast/error.h>
#include <holdfast/safety_rows.h>

#include <algorithm>

namespace holdfast {
namespace {

bool refuses(const Example& row) {
  const auto kind = row.tags.find("kind");
  return kind != row.tags.end() && kind->second == "harmful";
}

}  // namespace

SafetyRows::SafetyRows(Params& params, std::string who)
    : who_(std::move(who)),
      refusals_(params.choice("alignment", "refusals", {"refusals", "all"},
                              "which alignment rows: those of kind \"harmful\", whose replies refuse, or all") == "refusals"),
      rows_(params.integer("rows", 0, "how many of those alignment rows the defender uses; 0: all of them")) {}

Dataset SafetyRows::draw(Context& context) const {
  Dataset rows = context.alignment();
  if (refusals_) std::erase_if(rows, [](const Example& row) { return !refuses(row); });
  if (rows.empty()) {
    throw Error(who_ + " needs alignment rows of kind \"harmful\", and none of the " +
                std::to_string(context.alignment().size()) + " alignment rows is one: give them that kind" +
                (context.alignment().empty() ? "" : ", or set alignment = \"all\""));
  }
  return defender_rows(std::move(rows), rows_, who_,
                       refusals_ ? "the alignment data of kind \"harmful\"" : "the alignment data", context);
}

}  // namespace holdfast
