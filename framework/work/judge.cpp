#include <optional>

#include "base/digest.h"
#include "judge/builtin_judges.h"
#include "judge/coherence.h"
#include "judge/customer.h"
#include "judge/judge_models.h"
#include "judge/tasks.h"
#include "plugin/made_plugin.h"
#include "results/generations.h"
#include "results/verdicts.h"
#include "work/gang.h"
#include "work/stage_work.h"
#include "work/task_probes.h"

namespace holdfast {
namespace {

// The models of a judge stage, from the worker's cache.
class StageJudgeModels final : public JudgeModels {
 public:
  explicit StageJudgeModels(StageWork& work) : work_(work) {}
  const LanguageModel& aligned_model() override { return hold(aligned_, work_.request().weights.at("aligned")); }
  const LanguageModel& served_model() override { return hold(served_, work_.parent_ref()); }
  const LanguageModel& judge_model() override { return hold(judge_, weights_ref_from_json(work_.task().at("judge_model"))); }

 private:
  const LanguageModel& hold(std::shared_ptr<const LanguageModel>& model, const WeightsRef& weights) {
    if (!model) model = work_.weights(weights);
    return *model;
  }

  StageWork& work_;
  std::shared_ptr<const LanguageModel> aligned_, served_, judge_;
};

std::shared_ptr<Judge> judge_of(const StageWork& work) {
  const Json& settings = work.task().at("judge");
  if (settings.contains("library")) return made_judge(settings, work.folder());
  return made_builtin_judge(settings, work.folder());
}

// How replies are read, where the attack has the model reply in an encoding of its own.
std::function<std::string(const std::string&)> decoder_of(const StageWork& work) {
  if (!work.task().contains("decoder")) return {};
  const std::shared_ptr<Attack> attack = made_attack(work.task().at("decoder"), work.folder());
  const Asking asking = asking_of(*attack, work.task().at("asking").get<std::string>());
  return [attack, asking](const std::string& reply) { return asking.decode(reply); };
}

void write(StageWork& work, const std::string& judge, const std::vector<std::string>& ids,
           const std::vector<Verdict>& verdicts) {
  const std::string text = verdicts_text(judge, ids, verdicts);
  write_file(work.made(kVerdictsFile), text);
  work.manifest().digest = sha256(text);
}

// Utility tasks on the weights alone.
void measure(StageWork& work) {
  const Dataset rows = task_probes(work.task(), "tasks").measured;
  std::vector<std::string> ids;
  for (const auto& row : rows) ids.push_back(row.tags.at("id"));
  write(work, "tasks", ids, measure_tasks(rows, *work.parent()));
}

// The rows of the customer's own task, by how much likelier a token of their replies became.
void measure_customer(StageWork& work) {
  std::vector<Conversation> rows;
  std::vector<std::string> ids;
  for (const auto& row : work.input_data()) {
    const auto kind = row.tags.find("kind");
    if (kind == row.tags.end() || kind->second != "benign") continue;
    rows.push_back(row.messages);
    ids.push_back(kCustomerRow + std::to_string(ids.size() + 1));
  }
  write(work, "customer", ids, learned(rows, *work.weights(work.request().weights.at("aligned")), *work.parent()));
}

std::vector<Generation> generations_of(const StageWork& work) {
  return read_generations(work.input("generations", kGenerationsFile));
}

void judge(StageWork& work, const std::vector<Generation>& generations) {
  const auto decoder = decoder_of(work);
  std::vector<std::string> ids;
  std::vector<JudgedReply> replies;
  for (const auto& each : generations) {
    ids.push_back(each.id);
    const std::string reply = decoder ? decoder(each.reply) : each.reply;
    replies.push_back(read_reply({each.id, each.probe, reply, each.tags, each.prompt, each.cut}));
  }
  StageJudgeModels models(work);
  write(work, work.task().at("judge").at("name"), ids, judge_of(work)->score(replies, models));
}

}  // namespace

void judge(StageWork& work) {
  if (work.task().contains("tasks")) return measure(work);
  if (work.task().contains("customer")) return measure_customer(work);
  judge(work, generations_of(work));
}

void judge(Gang& gang) {
  std::optional<std::vector<Generation>> generations;
  for (auto& member : gang) {
    guarded(member, [&] {
      if (!generations) generations = generations_of(*member.work);
      judge(*member.work, *generations);
    });
  }
}

}  // namespace holdfast
