#include "plan/scenario_texts.h"

#include <algorithm>

#include "base/digest.h"
#include "data/formats.h"
#include "learn/device.h"
#include "learn/training.h"
#include "learn/training_options.h"
#include "organism/pretraining.h"
#include "store/weights_ref.h"

namespace holdfast {
namespace {

Json numerics(const std::string& device, const std::string& dtype) {
  return {{"dtype", dtype}, {"device", c10::DeviceTypeName(resolve_device(device).type(), true)}};
}

Json key_of(const PluginUse& use) { return {{"name", use.name}, {"revision", use.revision}, {"settings", use.resolved}}; }

std::string tasks_digest(const Dataset& rows) {
  Sha256 digest;
  for (const auto& row : rows) {
    const std::string line = canonical(example_to_json(row)) + "\n";
    digest.update(line.data(), line.size());
  }
  return digest.hex();
}

std::map<std::string, DataSource> named(const ModelSpec& model, const std::set<std::string>& names) {
  std::map<std::string, DataSource> found;
  for (const auto& [name, source] : model.corpora) {
    if (names.contains(name)) found.emplace(name, source);
  }
  return found;
}

template <typename Make>
const SharedText& once(SharedText& text, TextPool& pool, const Make& make) {
  if (!text) text = pool.of(make());
  return text;
}

}  // namespace

ScenarioTexts::ScenarioTexts(const Scenario& scenario, const DigestOf& digest_of)
    : scenario_(scenario),
      folder_(pool_.of(scenario.folder.string())),
      limit_(pool_.of(scenario.limit)),
      pretraining_options_(pool_.of(to_json(organism::pretraining_options()))),
      align_options_(pool_.of(to_json(scenario.align))),
      generate_options_(pool_.of(to_json(scenario.generate))),
      yes_(pool_.of(true)),
      null_(pool_.of(Json())) {
  for (const auto& model : scenario.models) models_.push_back(texts_of(model, digest_of));
  for (const auto& judge : scenario.judges) judges_.push_back(texts_of(judge, digest_of));
}

ModelTexts ScenarioTexts::texts_of(const ModelSpec& model, const DigestOf& digest_of) {
  ModelTexts made;
  if (model.provider) {
    made.base = of(identity(*model.provider));
    made.provider = of(to_json(*model.provider));
  } else {
    add_weights(made, model, digest_of);
  }
  if (model.alignment) {
    made.alignment = of(to_json(*model.alignment));
    made.alignment_digest = of(model.alignment->content());
  }
  Json probes;
  for (const auto& source : model.probes) probes.push_back(to_json(source));
  if (!probes.is_null()) made.probes = of(probes);
  const auto& [asked, measured] = model.probe_rows;
  made.prompts = of(prompts_digest(asked, conversations_of(asked)));
  if (!measured.empty()) made.measured = of(tasks_digest(measured));
  return made;
}

void ScenarioTexts::add_weights(ModelTexts& made, const ModelSpec& model, const DigestOf& digest_of) {
  made.base = of(digest_of(model.source));
  made.model = of({{"source", model.source}, {"device", device_for_workers(model.device)}, {"dtype", model.dtype}});
  made.numerics = of(numerics(model.device, model.dtype));
  if (!model.base.empty()) {
    const WeightsRef base{model.base, device_for_workers(model.device), model.dtype, digest_of(model.base), {}};
    made.base_model = of(to_json(base));
    made.base_model_key = of({{"base", base.base}, {"numerics", numerics(base.device, base.dtype)}});
  }
  if (model.pretraining) {
    made.pretraining = of(to_json(*model.pretraining));
    made.pretraining_digest = of(model.pretraining->content());
  }
}

JudgeTexts ScenarioTexts::texts_of(const PluginUse& judge, const DigestOf& digest_of) {
  JudgeTexts made{"judge." + judge.name, of(key_of(judge)), of(settings_of(judge)), {}, {}};
  const auto taken = [&](const JudgeTexts& other) { return other.stage == made.stage; };
  for (int n = 2; std::any_of(judges_.begin(), judges_.end(), taken); ++n) {
    made.stage = "judge." + judge.name + "." + std::to_string(n);
  }
  const JudgeNeeds& needs = judge.needs;
  if (needs.model.empty()) return made;
  const WeightsRef own{needs.model, device_for_workers(needs.device), needs.dtype, digest_of(needs.model), {}};
  made.model = of(to_json(own));
  made.model_key = of({{"base", own.base}, {"numerics", numerics(own.device, own.dtype)}});
  return made;
}

const SharedText& ScenarioTexts::key(const PluginUse& use) {
  return once(keys_[&use], pool_, [&] { return key_of(use); });
}

const SharedText& ScenarioTexts::settings(const PluginUse& use) {
  return once(settings_[&use], pool_, [&] { return settings_of(use); });
}

const SharedText& ScenarioTexts::options(const TrainingOptions& options) {
  return once(options_[&options], pool_, [&] { return to_json(options); });
}

const SharedText& ScenarioTexts::context(std::size_t model, const TrainingOptions& finetune,
                                         const std::set<std::string>& corpora) {
  return once(contexts_[{model, &finetune, corpora}], pool_, [&] {
    Json context = rows_of(model, corpora);
    context["align_options"] = to_json(scenario_.align);
    context["finetune_options"] = to_json(finetune);
    return context;
  });
}

Json ScenarioTexts::rows_of(std::size_t model, const std::set<std::string>& corpora) const {
  Json rows = {{"corpora", Json::object()}};
  for (const auto& [name, source] : named(scenario_.models[model], corpora)) rows["corpora"][name] = source.content();
  if (scenario_.models[model].alignment) rows["alignment"] = scenario_.models[model].alignment->content();
  return rows;
}

const SharedText& ScenarioTexts::corpora(std::size_t model, const std::set<std::string>& names) {
  return once(corpora_[{model, names}], pool_, [&] {
    Json sources = Json::object();
    for (const auto& [name, source] : named(scenario_.models[model], names)) sources[name] = to_json(source);
    return sources;
  });
}

std::map<std::string, std::string> ScenarioTexts::definitions() {
  std::map<std::string, std::string> digests;
  const auto define = [&](const std::string& name, const std::vector<SharedText>& parts) {
    std::string text;
    for (const auto& part : parts) text += (part ? *part : "null") + "\n";
    digests[name] = sha256(text);
  };
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const std::string& name = scenario_.models[i].name;
    const ModelTexts& model = models_[i];
    define("model " + name, {model.base, model.numerics});
    define("probes " + name, {model.prompts, model.measured});
    const bool aligns = scenario_.aligns && !model.provider;
    define("alignment " + name, {aligns ? model.alignment_digest : null_, aligns ? align_options_ : null_});
  }
  for (const auto& judge : judges_) {
    std::string name = judge.stage;  // "judge.keyword"
    define(name.replace(name.find('.'), 1, " "), {judge.key, judge.model_key});
  }
  std::map<std::string, std::vector<SharedText>> sweeps;  // their tries: the worst of more of them is worse
  for (const auto& attack : scenario_.attacks) {
    if (attack.is_control()) continue;
    const std::string name = "attack " + attack.name;
    define(name, {attack.rows ? of(attack.rows->content()) : key(*attack.plugin), options(attack.finetune), of(attack.asking),
                  of(to_string(attack.threat))});
    if (!attack.sweep.empty()) sweeps["sweep " + attack.sweep].push_back(of_text(digests.at(name)));
  }
  for (auto& [name, tries] : sweeps) {
    std::sort(tries.begin(), tries.end(), [](const SharedText& a, const SharedText& b) { return *a < *b; });
    define(name, tries);
  }
  for (const auto& defense : scenario_.defenses) {
    std::vector<SharedText> members;
    for (const auto& use : defense.stack) members.push_back(key(use));
    if (!members.empty()) define("defense " + defense.name, members);
  }
  define("generation", {generate_options_, limit_});
  return digests;
}

SharedText ScenarioTexts::prompts(std::size_t model, const AttackSpec& attack) {
  if (attack.asked.empty()) return models_[model].prompts;
  return of(prompts_digest(scenario_.models[model].probe_rows.asked, attack.asked[model]));
}

}  // namespace holdfast
