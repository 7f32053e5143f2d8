#include <holdfast/defender.h>
#include <holdfast/error.h>

#include <utility>

namespace holdfast {
namespace {

bool is_of_kind(const Example& row, const char* kind) {
  const auto found = row.tags.find("kind");
  return found != row.tags.end() && found->second == kind;
}

}  // namespace

Dataset harmful_rows(const std::string& corpus, std::int64_t wanted, const std::string& who, Context& context) {
  Dataset rows = context.corpus(corpus);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].messages.empty() && rows[i].messages.back().role == "assistant") continue;
    const std::string name = rows[i].origin.empty() ? "row " + std::to_string(i + 1) : rows[i].origin;
    throw Error(who + " needs harmful rows that end with a reply, and " + name + " of \"" + corpus +
                "\" does not: leave it out");
  }
  std::erase_if(rows, [&](const Example& row) { return row.messages.back().content == context.refusal(); });
  return defender_rows(std::move(rows), wanted, who, "the corpus \"" + corpus + "\", without refusals,", context);
}

RefusalPairs refusal_pairs(const std::string& corpus, std::int64_t wanted, const std::string& who, Context& context) {
  RefusalPairs pairs;
  pairs.harmful = pairs.refusals = harmful_rows(corpus, wanted, who, context);
  for (auto& row : pairs.refusals) row.messages.back() = {"assistant", context.refusal()};
  return pairs;
}

Dataset general_rows(Dataset alignment, const std::string& who) {
  std::erase_if(alignment, [](const Example& row) { return !is_of_kind(row, "benign"); });
  if (alignment.empty()) throw Error(who + " needs alignment rows of kind \"benign\" and there is none: tag them so");
  return alignment;
}

SafetyRows::SafetyRows(Params& params, std::string who)
    : who_(std::move(who)),
      refusals_(params.choice("alignment", "refusals", {"refusals", "all"},
                              "which alignment rows: those of kind \"harmful\", whose replies refuse, or all") == "refusals"),
      rows_(params.integer("rows", 0, "how many of those alignment rows the defender uses; 0: all of them")) {}

Dataset SafetyRows::draw(Context& context) const {
  return defender_rows(all(context), rows_, who_, refusals_ ? "the alignment data of kind \"harmful\"" : "the alignment data",
                       context);
}

Dataset SafetyRows::all(Context& context) const {
  Dataset rows = context.alignment();
  if (refusals_) std::erase_if(rows, [](const Example& row) { return !is_of_kind(row, "harmful"); });
  if (rows.empty()) {
    throw Error(who_ + " needs alignment rows of kind \"harmful\", and none of the " +
                std::to_string(context.alignment().size()) + " alignment rows is one: give them that kind" +
                (context.alignment().empty() ? "" : ", or set alignment = \"all\""));
  }
  return rows;
}

}  // namespace holdfast
