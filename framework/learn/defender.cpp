#include <ATen/core/Tensor.h>
#include <holdfast/defender.h>
#include <holdfast/error.h>

#include <utility>

namespace holdfast {

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

Dataset general_rows(Dataset alignment, const std::string& who) {
  std::erase_if(alignment, [](const Example& row) {
    const auto kind = row.tags.find("kind");
    return kind == row.tags.end() || kind->second != "benign";
  });
  if (alignment.empty()) throw Error(who + " needs alignment rows of kind \"benign\" and there is none: tag them so");
  return alignment;
}

Batches pooled(Batches first, Batches second) {
  for (auto& batch : second) first.push_back(std::move(batch));
  double labels = 0;
  for (const auto& batch : first) labels += static_cast<double>(batch.target_ids.numel());
  for (auto& batch : first) batch.normalizer = labels;
  return first;
}

}  // namespace holdfast
