#include "results/verdicts.h"

#include <holdfast/error.h>

#include "results/outcomes_json.h"

namespace holdfast {

// "prompt_sha256" is there only where a judge model was asked.
std::string verdicts_text(const std::string& judge, const std::vector<std::string>& ids, const std::vector<Verdict>& verdicts) {
  HOLDFAST_CHECK(verdicts.size() == ids.size());
  std::string text;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    Json row = {{"id", ids[i]}, {"judge", judge}, {"outcomes", verdicts[i].outcomes}, {"raw", verdicts[i].raw}};
    if (!verdicts[i].prompt_digest.empty()) row["prompt_sha256"] = verdicts[i].prompt_digest;
    text += canonical(row) + "\n";
  }
  return text;
}

void read_verdicts(const fs::path& file,
                   const std::function<void(const std::string& id, const std::map<std::string, double>& outcomes)>& visit) {
  read_jsonl(file, [&](const Json& row, std::int64_t number) {
    try {
      visit(row.at("id").get<std::string>(), outcomes_from_json(row.at("outcomes")));
    } catch (const Json::exception&) {
      throw Error(file.string() + ":" + std::to_string(number) + " is not a verdict: expected \"id\" and \"outcomes\"");
    }
  });
}

}  // namespace holdfast
