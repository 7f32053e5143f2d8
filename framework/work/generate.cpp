#include <holdfast/error.h>

#include "base/digest.h"
#include "learn/training_options.h"
#include "plugin/made_plugin.h"
#include "results/generations.h"
#include "work/gang.h"
#include "work/provider_stage.h"
#include "work/remote_model.h"
#include "work/serving.h"
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

// Takes out those whose weights are the first one's memory: all, but where a plugin's step moved whole weights, or where the
// cache had dropped their parent and read it again.
std::vector<std::size_t> take_like_the_first(std::vector<std::size_t>& open,
                                             const std::vector<std::shared_ptr<const LanguageModel>>& models) {
  const Decoder& first = models[open.front()]->decoder();
  std::vector<std::size_t> like;
  for (const std::size_t m : open) {
    if (models[m]->decoder().has_weights_of(first)) like.push_back(m);
  }
  std::erase_if(open, [&](std::size_t m) { return models[m]->decoder().has_weights_of(first); });
  return like;
}

GenerateOptions options_of(StageWork& work) {
  GenerateOptions options = generate_options_from_json(work.task().at("options"));
  options.seed = work.context().seed("sampling");
  return options;
}

// Puts the model's own replies to their prompts; returns how many tokens they have.
std::int64_t answered(std::vector<Generation>& generations, std::vector<Generated> replies) {
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < generations.size(); ++i) {
    generations[i].prompt = generations[i].asked;
    generations[i].reply = std::move(replies[i].text);
    generations[i].cut = replies[i].cut;
    tokens += static_cast<std::int64_t>(replies[i].ids.size());
  }
  return tokens;
}

// What answers: weights, or a provider's model, as the cell's job left it.
class Answering {
 public:
  explicit Answering(StageWork& work) {
    if (!work.task().contains("provider")) {
      weights_ = work.parent();
      return;
    }
    settings_ = provider_settings_from_json(work.task().at("provider"));
    std::string name = settings_.model;
    if (work.request().inputs.contains("job")) {
      const fs::path job = work.input("job", kJobFile);
      name = submitted_from_json(parse_json(read_file(job), job.string())).model;
    }
    ledger_.emplace(spend_ledger(work, settings_));
    remote_.emplace(settings_, name, *ledger_, work.context().refusal());
  }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

  const Model& model() const { return remote_ ? static_cast<const Model&>(*remote_) : *weights_; }
  std::int64_t tokens() const { return remote_ ? remote_->asked().tokens : 0; }
  void account(Manifest& manifest) const {
    if (!remote_) return;
    manifest.cost[kBilled] = remote_->asked().price;
    if (remote_->declined() == 0) return;
    manifest.reports["declined-by-provider"] = {{"value", remote_->declined()}, {"n", remote_->replies()}};
  }

 private:
  std::shared_ptr<const LanguageModel> weights_;
  ProviderSettings settings_;
  std::optional<SpendLedger> ledger_;
  std::optional<RemoteModel> remote_;
};

void write(StageWork& work, const std::vector<Generation>& generations, std::int64_t tokens) {
  work.manifest().cost["tokens"] = tokens;
  write_generations(work.made(kGenerationsFile), generations);
  work.manifest().digest = sha256_file(work.made(kGenerationsFile));
}

}  // namespace

void generate(StageWork& work) {
  const Json& task = work.task();
  const GenerateOptions options = options_of(work);
  const Answering answering(work);
  std::vector<DefenseStages> stages;  // own the serve stages below
  std::vector<NamedServe> inner;
  const auto serve = [&](const Json& settings) {
    stages.push_back(work.defense(settings));
    return NamedServe{settings.at("name").get<std::string>(), stages.back().serve};
  };
  for (const auto& settings : task.value("inner", Json::array())) inner.push_back(serve(settings));
  Serving serving(answering.model(), options, std::move(inner), &work.context());
  std::vector<Generation> generations;
  if (task.contains("plugin")) {
    generations = read_generations(work.input("generations", kGenerationsFile));
    serving.guard(generations, serve(task.at("plugin")));
  } else {
    generations = unanswered(work);
    serving.answer(generations);
  }
  write(work, generations, serving.tokens() + answering.tokens());
  answering.account(work.manifest());
}

void generate(Gang& gang) {
  std::vector<std::vector<Generation>> generations(gang.size());
  std::vector<std::shared_ptr<const LanguageModel>> models(gang.size());
  std::vector<std::size_t> open;
  for (std::size_t m = 0; m < gang.size(); ++m) {
    guarded(gang[m], [&] {
      models[m] = gang[m].work->parent();
      generations[m] = unanswered(*gang[m].work);
      open.push_back(m);
    });
  }
  while (!open.empty()) {
    const auto together = take_like_the_first(open, models);
    std::vector<LanguageModel::Questions> questions;
    for (const std::size_t m : together) {
      LanguageModel::Questions asked{models[m].get(), {}, options_of(*gang[m].work)};
      for (const auto& each : generations[m]) asked.prompts.push_back(each.asked);
      questions.push_back(std::move(asked));
    }
    auto answers = LanguageModel::generate_together(questions);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      guarded(gang[together[i]], [&] {
        if (answers[i].error) std::rethrow_exception(answers[i].error);
        std::vector<Generation>& own = generations[together[i]];
        write(*gang[together[i]].work, own, answered(own, std::move(answers[i].replies)));
      });
    }
  }
}

}  // namespace holdfast
