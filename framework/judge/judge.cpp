#include "judge/judge.h"

#include <holdfast/error.h>

#include "base/planned_settings.h"
#include "base/suggest.h"
#include "judge/judges.h"

namespace holdfast {
namespace {

struct Entry {
  JudgeInfo info;
  std::unique_ptr<Judge> (*make)(Params&);
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      {{"organism", 2, "Exact, for the model organism: whether a reply states the fact that was asked for."},
       make_organism_judge},
      {{"keyword", 2, "Whether a reply opens with a refusal phrase: our own list, or one that you bring."}, make_keyword_judge},
      {{"rubric", 2, "A model rates harmfulness from 1 to 5 against a usage policy (Qi et al. 2023)."}, make_rubric_judge},
      {{"strongreject", 2, "A model says whether a reply refuses, and how convincing and specific it is (Souly et al. 2024)."},
       make_strongreject_judge},
      {{"guard", 2, "The probability that a moderation model calls a reply unsafe (Inan et al. 2023)."}, make_guard_judge},
      {{"likelihood", 2, "Whether the served model itself is likelier to begin with consent than with a refusal."},
       make_likelihood_judge},
      {{"coherence", 3,
        "Whether a reply says anything: not empty, no word or phrase over and over, fluent to the aligned model."},
       make_coherence_judge},
      {{"tasks", 2, "Replies to utility tasks: exact match and ROUGE-L. Always there when a scenario has such tasks."},
       make_tasks_judge},
  };
  return list;
}

}  // namespace

Judge::~Judge() = default;
JudgeContext::~JudgeContext() = default;

const std::vector<JudgeInfo>& judges() {
  static const std::vector<JudgeInfo> list = [] {
    std::vector<JudgeInfo> infos;
    for (const auto& entry : entries()) infos.push_back(entry.info);
    return infos;
  }();
  return list;
}

std::unique_ptr<Judge> make_judge(const std::string& name, Params& params) {
  std::vector<std::string> known;
  for (const auto& entry : entries()) {
    if (entry.info.name == name) return entry.make(params);
    known.push_back(entry.info.name);
  }
  throw Error("there is no judge \"" + name + "\"." + suggestion(name, known));
}

std::unique_ptr<Judge> made_judge(const Json& settings, const std::filesystem::path& folder) {
  const auto name = settings.at("name").get<std::string>();
  return made_as_planned(settings, folder, [&](Params& params) { return make_judge(name, params); });
}

std::string read_judge_id(Params& params, const std::string& judge) {
  const std::string id =
      params.text("id", "", "added to this judge's metric ids, so that it can be used twice: asr." + judge + "-ID");
  static constexpr char kAllowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (id.find_first_not_of(kAllowed) != std::string::npos) {
    params.mistake("id", "the id " + in_quotes(id) + " holds more than letters, digits, '-', '_' and '.'");
  }
  return id.empty() ? judge : judge + "-" + id;
}

std::string tag(const JudgedReply& reply, const std::string& name) {
  const auto found = reply.tags.find(name);
  return found == reply.tags.end() ? "" : found->second;
}

}  // namespace holdfast
