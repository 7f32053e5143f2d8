// What was measured and on what, from the scenario as run.json keeps it. Of files it names the last part of their paths: where
// they lie is nobody's business.
#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "report/figures.h"
#include "report/model_cells.h"
#include "report/notice/notice_sentences.h"
#include "report/notice/notice_words.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestSetting = 60;

// Settings that a line has room for; long texts and lists are left to run.json.
std::string setting(const std::string& name, const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  const bool said = !value.is_structured() && !value.is_null() && text.find_first_not_of(' ') != std::string::npos;
  const bool plain = std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' '; });
  return said && plain && text.size() <= kLongestSetting ? name + " " + text : "";
}

std::string settings(const Json& values) {
  std::string text;
  for (const auto& [name, value] : values.items()) {
    const std::string one = setting(name, value);
    if (!one.empty()) text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

std::string plugin_text(const Json& plugin) {
  const std::string given = settings(plugin.value("settings", Json::object()));
  return plugin.value("name", "") + " (revision " + plugin.value("revision", Json(0)).dump() +
         (given.empty() ? "" : "; " + given) + ")";
}

std::string file_text(const Json& source) {
  const std::string digest = source.value("digest", "");
  return file_shown(source.value("location", "")) + (digest.empty() ? "" : " (SHA-256 " + digest + ")");
}

std::string model_text(const Notice& notice) {
  std::string text = notice.model;
  if (const auto* model = named_entry(notice.run, "models", notice.model)) {
    const std::string source = file_shown(model->value("base", model->value("source", "")));
    if (!source.empty() && source != notice.model) text += ", from " + source;
    if (model->contains("provider")) {
      const Json& provider = model->at("provider");
      return text + ", " + in_quotes(provider.value("model", "")) + " of " + provider.value("url", "") +
             ", which shows no weights: what answered under that name then is not known";
    }
    if (model->contains("alignment")) text += ", aligned with " + file_text(model->at("alignment"));
  }
  const auto digest = notice.definitions.find("model " + notice.model);
  return digest == notice.definitions.end() ? text + "; the digest of its files is not recorded"
                                            : text + "; SHA-256 of its files and number format " + digest->second;
}

// What decides most; run.json has the rest.
std::string training_text(const Json& options) {
  Json said = Json::object();
  for (const std::string name : {"method", "epochs", "lr", "batch_size"}) {
    if (options.contains(name)) said[name] = options.at(name);
  }
  if (options.value("method", "") == "lora" && options.contains("lora_rank")) said["lora_rank"] = options.at("lora_rank");
  return settings(said);
}

std::string attack_text(const Notice& notice) {
  if (is_control(notice.attack)) {
    return notice.attack == "none" ? "none" : "none; the model is asked in the way of " + wrapped_attack(notice.attack);
  }
  const auto* attack = named_entry(notice.run, "attacks", notice.attack);
  if (attack == nullptr) return notice.attack + "; its settings are not recorded";
  std::string text = notice.attack;
  if (attack->contains("plugin")) text += ": " + plugin_text(attack->at("plugin"));
  if (attack->contains("rows")) text += ": the rows of " + file_text(attack->at("rows"));
  return attack->contains("finetune") ? text + "; training: " + training_text(attack->at("finetune")) : text;
}

std::string defense_text(const Notice& notice) {
  const auto* defense = notice.defense == "none" ? nullptr : named_entry(notice.run, "defenses", notice.defense);
  if (defense == nullptr) return notice.defense == "none" ? "none" : notice.defense + "; its settings are not recorded";
  std::vector<std::string> stack;
  const Json members = defense->value("stack", Json::array());
  for (const auto& member : members) stack.push_back(plugin_text(member));
  return notice.defense + ": " + listed(stack);
}

// How many requests of a kind one seed was asked.
std::string requests_text(const Notice& notice) {
  std::vector<std::string> parts;
  for (const auto& figure : notice.figures) {
    const bool first_harm = &figure == notice.first(FigureRole::kHarm);
    if (!figure.measured || (!first_harm && figure.role != FigureRole::kUtility)) continue;
    const std::int64_t n = figure.measured->n / figure.measured->seeds;
    const std::string task = figure.metric.substr(figure.metric.find('.') + 1);
    parts.push_back(first_harm ? counted(n, "harmful request") : std::to_string(n) + " of " + task);
  }
  std::string text = parts.empty() ? "none" : listed(parts) + " a seed";
  const auto* model = named_entry(notice.run, "models", notice.model);
  const Json files = model == nullptr ? Json::array() : model->value("probes", Json::array());
  for (const auto& file : files) text += "; " + file_text(file);
  return text;
}

std::string judge_text(const Json& judge) {
  std::string text = judge.value("name", "") + " (revision " + judge.value("revision", Json(0)).dump();
  const std::string model = judge_model(judge);
  return text + (model.empty() ? "; a rule)" : "; asks the model " + model + ")");
}

std::string judges_text(const Notice& notice) {
  std::vector<std::string> names;
  const Json judges = notice.run.scenario.value("judges", Json::array());
  for (const auto& judge : judges) names.push_back(judge_text(judge));
  return names.empty() ? "not recorded" : listed(names);
}

std::string weights_text(const Notice& notice) {
  if (notice.weights.empty()) return "";
  std::vector<std::string> keys;
  for (const auto& weights : notice.weights) keys.push_back(weights.key + " (seed " + std::to_string(weights.seed) + ")");
  return "SHA-256 of all that decides the weights (Holdfast's stage key): " + listed(keys);
}

std::string dependency_text(const Notice& notice) {
  const std::string& hub = notice.issuer.base_model;
  const auto* model = named_entry(notice.run, "models", notice.model);
  const bool shows_files = model == nullptr || !model->contains("provider");
  const auto digest = shows_files ? notice.definitions.find("model " + notice.model) : notice.definitions.end();
  return "a modification of " + (hub.empty() ? notice.model : hub) +
         (digest == notice.definitions.end() ? "" : " (SHA-256 of its files and number format " + digest->second + ")");
}

// "2.1*10^12".
std::string power_of_ten(double value) {
  const int exponent = static_cast<int>(std::floor(std::log10(value)));
  return fixed(value / std::pow(10.0, exponent), 1) + "*10^" + std::to_string(exponent);
}

std::string seeds_text(const Notice& notice) {
  std::vector<std::string> seeds;
  for (const auto seed : notice.seeds) seeds.push_back(std::to_string(seed));
  return seeds.empty() ? "none came to a result" : listed(seeds);
}

}  // namespace

std::string file_shown(const std::string& path) {
  return path.starts_with("builtin:") ? path : fs::path(path).filename().string();
}

std::string judge_model(const Json& judge) {
  const Json settings = judge.value("settings", Json::object());
  const std::string model = settings.value("model", "");
  return settings.value("endpoint", "").empty() ? file_shown(model) : model;
}

std::vector<NoticeFact> form_fields(const Notice& notice) {
  const Modification& cost = notice.modification;
  std::vector<NoticeFact> fields = {{"name", "Model name", model_name(notice)}};
  const auto add = [&](const std::string& id, const std::string& label, const std::string& text) {
    if (!text.empty()) fields.push_back({id, label, text});
  };
  add("provider", "Name of the model provider", notice.issuer.organization);
  add("authenticity", "Model authenticity (secure hash)", weights_text(notice));
  add("dependencies", "Model dependencies", dependency_text(notice));
  add("license", "Licence", notice.issuer.license);
  if (is_control(notice.attack)) return fields;
  const auto measured = [](double value, int digits, const std::string& unit) {
    return value > 0 ? fixed(value, digits) + " " + unit : "";
  };
  add("tokens", "Size of the training data of the modification", measured(cost.tokens, 0, "tokens, passes counted"));
  add("time", "Training time of the modification", measured(cost.seconds, 1, "seconds"));
  add("computation", "Amount of computation of the modification",
      cost.flops > 0 ? power_of_ten(cost.flops) + " floating point operations" : "");
  add("energy", "Energy used for the modification", measured(cost.joules, 0, "joules"));
  return fields;
}

std::string model_name(const Notice& notice) {
  if (is_control(notice.attack))
    return notice.model + " (" + (notice.defense == "none" ? "as it is offered" : notice.defense) + ")";
  return notice.model + " customised by " + notice.attack +
         (notice.defense == "none" ? std::string() : " under " + notice.defense);
}

std::vector<NoticeFact> facts_of(const Notice& notice) {
  const std::string scenario = notice.run.scenario.value("name", "");
  return {{"model", "Model", model_text(notice)},
          {"attack", "Customisation", attack_text(notice)},
          {"defense", "Protection", defense_text(notice)},
          {"probes", "Requests", requests_text(notice)},
          {"generation", "Replies", settings(notice.run.scenario.value("generate", Json::object()))},
          {"judges", "Judges", judges_text(notice)},
          {"seeds", "Seeds", seeds_text(notice)},
          {"run", "Run",
           "scenario " + scenario + (notice.run.started.empty() ? "" : ", begun " + notice.run.started) + "; Holdfast " +
               notice.run.holdfast + ", torch " + notice.run.torch}};
}

}  // namespace holdfast
