#include "results/verdicts.h"

#include <holdfast/error.h>

#include "base/digest.h"
#include "judge/json_object.h"
#include "results/outcomes_json.h"

namespace holdfast {
namespace {

Json raw_json(const std::string& judge, const JsonObject& raw) {
  try {
    return to_json(raw);
  } catch (const Error& error) {
    throw Error("the judge \"" + judge + "\" gave a raw verdict that cannot be stored: " + error.what());
  }
}

}  // namespace

// "prompt_sha256" is there only where a judge model was asked.
std::string verdicts_text(const std::string& judge, const std::vector<std::string>& ids, const std::vector<Verdict>& verdicts) {
  if (verdicts.size() != ids.size()) {
    throw Error("the judge \"" + judge + "\" gave " + std::to_string(verdicts.size()) + " verdicts on " +
                std::to_string(ids.size()) + " replies, expected one for each, in order");
  }
  std::string text;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    Json row = {{"id", ids[i]}, {"judge", judge}, {"outcomes", verdicts[i].outcomes}, {"raw", Json()}};
    if (!verdicts[i].raw.empty()) row["raw"] = raw_json(judge, verdicts[i].raw);
    if (!verdicts[i].prompt.empty()) row["prompt_sha256"] = sha256(verdicts[i].prompt);
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
