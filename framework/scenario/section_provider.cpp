// A [[model]] behind a provider's interface, and what a scenario with such models cannot have.
#include <holdfast/error.h>

#include <algorithm>

#include "judge/endpoint_address.h"
#include "provider/dialect.h"
#include "provider/hyperparameters.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

// A stage that runs into its time limit is killed; a job that takes longer shall end in a sentence.
constexpr double kOfStageTimeout = 0.95;

void refuse_local_keys(ScenarioTable& table) {
  for (const char* key : {"source", "base", "device", "dtype"}) {
    if (table.has(key)) {
      table.mistake(key,
                    in_quotes(key) + " is for a model on this machine, and this one names a provider: leave one of them out");
    }
    table.text(key, "");
  }
}

void read_address(ScenarioTable& table, const Dialect& dialect, ProviderSettings& settings) {
  settings.url = table.required_text("url");
  const std::string trouble = trouble_with_address(settings.url, in_quotes(dialect.address));
  if (!settings.url.empty() && !trouble.empty()) table.mistake("url", "the provider's address " + trouble);
  while (settings.url.ends_with('/')) settings.url.pop_back();
  if (dialect.has_account) settings.account = table.required_text("account");
  if (settings.account.find_first_of("/?#{} ") != std::string::npos) {
    table.mistake("account",
                  "\"account\" is the name of an account, as it stands behind accounts/ in the provider's addresses");
  }
}

void read_key(ScenarioTable& table, ProviderSettings& settings) {
  if (!table.has("key_env")) {
    table.mistake("key_env",
                  "[[model]] has no \"key_env\", expected the name of the environment variable that holds the "
                  "provider's key, or \"\" for a service without one");
  }
  settings.key_env = table.text("key_env", "");
  if (settings.key_env.empty()) return;
  const std::string unset =
      "the environment variable that \"key_env\" names is not set: export the provider's key, say key_env = "
      "\"\" for a service without one, or replay = true to use a recording";
  const KeyTrouble trouble = trouble_with_key(
      settings.key_env, settings.url, "url", unset,
      "the provider's address is http:// on another machine and the key would travel in the clear: use https://, "
      "or key_env = \"\"");
  if (trouble.setting.empty() || (settings.replay && trouble.sentence == unset)) return;
  table.mistake(trouble.setting, trouble.sentence);
  settings.key_env.clear();  // it may be a key
}

double required_price(ScenarioTable& table, const std::string& key, const std::string& of) {
  if (!table.has(key)) {
    table.mistake(key, "[[model]] has no \"" + key + "\", expected what a million " + of +
                           " tokens cost, so that spend_limit can hold; 0 where they cost nothing");
  }
  return table.number(key, 0, 0);
}

void read_money(ScenarioTable& table, const Dialect& dialect, ProviderSettings& settings) {
  settings.spend_limit = table.number("spend_limit", 0, 0);
  if (settings.spend_limit <= 0) {
    table.mistake("spend_limit",
                  "[[model]] needs a \"spend_limit\" above 0: the most that may be spent at the provider with "
                  "one store, in the currency of [prices]");
  }
  settings.input_price = required_price(table, "input_price", "prompt");
  settings.output_price = required_price(table, "output_price", "reply");
  if (table.has("training_price") || !dialect.estimates()) {
    settings.training_price = required_price(table, "training_price", "trained");
  }
}

void read_patience(const Reading& reading, ScenarioTable& table, ProviderSettings& settings) {
  settings.poll = table.number("poll", settings.poll, 0.01, 3600);
  settings.timeout = table.number("timeout", settings.timeout, 0.01, 86400);
  settings.backoff = table.number("backoff", settings.backoff, 0, 60);
  settings.retries = table.integer("retries", settings.retries, 0, 100);
  settings.concurrency = table.integer("concurrency", settings.concurrency, 1, 256);
  const double longest = reading.scenario.stage_timeout;
  settings.job_timeout = table.number("job_timeout", kOfStageTimeout * longest, 0.01);
  if (settings.job_timeout >= longest) {
    table.mistake("job_timeout", "\"job_timeout\" is not below stage_timeout (" +
                                     std::to_string(static_cast<std::int64_t>(longest)) +
                                     " s), at which a stage is stopped: raise stage_timeout in [scenario]");
  }
}

void read_recording(const Reading& reading, ScenarioTable& table, ProviderSettings& settings) {
  const std::string recording = table.text("recording", "");
  if (!recording.empty()) settings.recording = (reading.scenario.folder / recording).lexically_normal().string();
  settings.replay = table.flag("replay", false);
  if (settings.replay && recording.empty()) {
    table.mistake("replay", "\"replay\" needs recording = \"file.jsonl\" to answer from");
  }
}

void read_base_lr(ScenarioTable& table, const Dialect& dialect, ProviderSettings& settings) {
  settings.base_lr = table.number("base_lr", 0, 0);
  if (dialect.multiplies_lr() && settings.base_lr <= 0) {
    table.mistake("base_lr", "the interface \"" + dialect.name +
                                 "\" takes a multiple of the provider's own learning rate: say as \"base_lr\" at which lr of "
                                 "[finetune] that multiple is 1");
  } else if (!dialect.multiplies_lr() && table.has("base_lr")) {
    table.mistake("base_lr", "the interface \"" + dialect.name + "\" takes the learning rate itself: leave \"base_lr\" out");
  }
}

bool has_provider(const ModelSpec& model) { return model.provider.has_value(); }

void refuse_measurements(Reading& reading, const toml::source_region& place) {
  const Scenario& scenario = reading.scenario;
  const std::string why = ", and a model behind a provider's interface shows none: ";
  for (const auto& judge : scenario.judges) {
    if (!judge.needs.served_model && !judge.needs.aligned_model) continue;
    reading.mistakes.add(place, "the judge " + in_quotes(judge.name) + " looks at weights" + why + "leave the judge out");
  }
  if (scenario.customer) {
    reading.mistakes.add(place, "\"customer\" in [evaluate] measures weights" + why + "leave it out");
  }
  for (const auto& model : scenario.models) {
    if (!model.provider || model.probe_rows.measured.empty()) continue;
    const std::string task = model.probe_rows.measured.front().tags.contains("task")
                                 ? " " + in_quotes(model.probe_rows.measured.front().tags.at("task"))
                                 : "";
    reading.mistakes.add(place, "the utility task" + task + " is measured on weights (multiple-choice, perplexity)" + why +
                                    "name tasks that are answered");
  }
}

// Where other models have cells with them, those that need weights simply have none with these.
void refuse_weights(Reading& reading, ScenarioTable& root) {
  const Scenario& scenario = reading.scenario;
  const std::string why = ", and every model of the scenario is behind a provider's interface: leave ";
  std::set<std::string> said;
  const auto refuse = [&](const std::string& what, const std::string& needs) {
    const std::string sentence = what + " " + needs + why + "it out, or add a model with a \"source\"";
    if (!needs.empty() && said.insert(sentence).second) reading.mistakes.add(root.place(), sentence);
  };
  for (const auto& attack : scenario.attacks) {
    refuse("the attack " + in_quotes(attack.sweep.empty() ? attack.name : attack.sweep), what_needs_weights(attack));
  }
  for (const auto& defense : scenario.defenses) refuse("the defense " + in_quotes(defense.name), what_needs_weights(defense));
  for (const auto& moderator : scenario.moderators) {
    refuse("the moderator " + in_quotes(moderator.name), what_needs_weights(DefenseSpec{"", {moderator.plugin}}));
  }
  if (scenario.aligns) refuse("the section [align]", "trains weights");
}

void check_options(Reading& reading, const ModelSpec& model, const toml::source_region& place) {
  std::set<std::string> said;
  for (const auto& attack : reading.scenario.attacks) {
    if (attack.is_control() || !what_needs_weights(attack).empty()) continue;
    try {
      hyperparameters(dialect(model.provider->dialect), attack.finetune, std::max(model.provider->base_lr, 1e-300));
    } catch (const Error& error) {
      const std::string sentence = "the model " + in_quotes(model.name) + ": " + error.what();
      if (said.insert(sentence).second) reading.mistakes.add(place, sentence);
    }
  }
}

// That of [prices], in which limits and prices are.
void set_currency(Reading& reading, ProviderSettings& settings, const toml::source_region& place) {
  const Json& prices = reading.scenario.prices;
  if (!prices.is_null()) settings.currency = prices.at("currency").get<std::string>();
  const std::string& bills = dialect(settings.dialect).currency;
  if (bills.empty() || bills == settings.currency) return;
  reading.mistakes.add(place, "the provider \"" + settings.dialect + "\" bills in " + bills + ", and [prices] says " +
                                  in_quotes(settings.currency) + ": set currency in [prices] to " + bills +
                                  ", and limits and prices with it");
}

}  // namespace

void read_provider_model(Reading& reading, ScenarioTable& table) {
  ModelSpec model;
  model.name = table.required_text("name");
  ProviderSettings settings;
  settings.dialect = table.choice("provider", "openai", dialect_names());
  const Dialect& spoken = dialect(settings.dialect);
  refuse_local_keys(table);
  settings.model = table.required_text("model");
  settings.consent = table.required_text("consent");
  read_address(table, spoken, settings);
  read_recording(reading, table, settings);
  read_key(table, settings);
  read_money(table, spoken, settings);
  read_patience(reading, table, settings);
  read_base_lr(table, spoken, settings);
  model.provider = std::move(settings);
  model.alignment = reading.alignment;
  model.corpora = reading.corpora;
  if (!model.alignment && model.corpora.contains("alignment")) model.alignment = model.corpora.at("alignment");
  add_model(reading, table, std::move(model));
}

void check_providers(Reading& reading, ScenarioTable& root) {
  auto& models = reading.scenario.models;
  if (std::none_of(models.begin(), models.end(), has_provider)) return;
  const auto* evaluate = root.table("evaluate");
  refuse_measurements(reading, evaluate == nullptr ? root.place() : evaluate->source());
  if (std::all_of(models.begin(), models.end(), has_provider)) refuse_weights(reading, root);
  for (auto& model : models) {
    if (!model.provider) continue;
    check_options(reading, model, root.place());
    set_currency(reading, *model.provider, root.place());
  }
}

std::string what_needs_weights(const AttackSpec& attack) {
  if (attack.plugin && attack.plugin->traits.tampers) return "edits weights";
  if (attack.threat == ThreatModel::kWeights) return "is made by who holds the weights (threat_model)";
  const bool looks = attack.plugin && (attack.plugin->traits.need_aligned != 0 || attack.plugin->traits.need_base != 0);
  return looks ? "looks at the model's weights" : "";
}

std::string what_needs_weights(const DefenseSpec& defense) {
  for (const auto& use : defense.stack) {
    const std::string who = defense.stack.size() > 1 ? "has " + in_quotes(use.name) + ", which " : "";
    if (use.has(kStagePretrain | kStageAlign | kStageTune | kStageRepair))
      return who + "changes how weights are trained or repaired";
    if (use.traits.need_aligned != 0 || use.traits.need_base != 0) return who + "looks at the model's weights";
  }
  return "";
}

bool meet(const ModelSpec& model, const AttackSpec& attack, const DefenseSpec& defense) {
  if (!defense.stands_against(attack.threat)) return false;
  return !model.provider || (what_needs_weights(attack).empty() && what_needs_weights(defense).empty());
}

}  // namespace holdfast
