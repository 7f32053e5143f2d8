#include <holdfast/error.h>

#include "base/digest.h"
#include "learn/training_options.h"
#include "plugin/made_plugin.h"
#include "results/generations.h"
#include "work/serving.h"
#include "work/stage_work.h"
#include "work/task_probes.h"

namespace holdfast {
namespace {

std::vector<Generation> unanswered(const StageWork& work) {
  std::shared_ptr<Attack> attack;
  Asking asking;
  if (work.task().contains("wrapper")) {
    attack = made_attack(work.task().at("wrapper"), work.folder());
    asking = asking_of(*attack, work.task().at("asking").get<std::string>());
  }
  const Dataset rows = task_probes(work.task(), "probes").asked;
  std::vector<Generation> generations;
  std::vector<Conversation> asked;
  for (const auto& row : rows) {
    Generation each{row.tags.at("id"), row.tags, row.messages, row.messages, {}, ""};
    if (asking.wrap) asking.wrap(each.asked);
    asked.push_back(each.asked);
    generations.push_back(std::move(each));
  }
  if (attack && prompts_digest(rows, asked) != work.request().document.at("stage").at("prompts")) {
    throw Error(
        "the attack \"" + work.task().at("wrapper").at("name").get<std::string>() +
        "\" wraps the prompts in another way than when the matrix was planned: a template is a function of its settings");
  }
  return generations;
}

}  // namespace

void generate(StageWork& work) {
  const Json& task = work.task();
  GenerateOptions options = generate_options_from_json(task.at("options"));
  options.seed = work.context().seed("sampling");
  const auto model = work.parent();
  std::vector<DefenseStages> stages;  // own the serve stages below
  std::vector<NamedServe> inner;
  const auto serve = [&](const Json& settings) {
    stages.push_back(work.defense(settings));
    return NamedServe{settings.at("name").get<std::string>(), stages.back().serve};
  };
  for (const auto& settings : task.value("inner", Json::array())) inner.push_back(serve(settings));
  Serving serving(*model, options, std::move(inner), &work.context());
  std::vector<Generation> generations;
  if (task.contains("plugin")) {
    generations = read_generations(work.input("generations", kGenerationsFile));
    serving.guard(generations, serve(task.at("plugin")));
  } else {
    generations = unanswered(work);
    serving.answer(generations);
  }
  work.manifest().cost["tokens"] = serving.tokens();
  write_generations(work.made(kGenerationsFile), generations);
  work.manifest().digest = sha256_file(work.made(kGenerationsFile));
}

}  // namespace holdfast
