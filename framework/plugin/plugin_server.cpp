#include "plugin/plugin_server.h"

#include <holdfast/error.h>

#include "base/keyed_files.h"
#include "base/params_state.h"
#include "base/remembered_digest.h"
#include "data/conversation.h"
#include "plugin/library.h"
#include "plugin/made_plugin.h"
#include "plugin/plugin_host.h"
#include "plugin/plugin_kind.h"

namespace holdfast {
namespace {

// The first line only: torch appends a stack trace to its messages.
Json thrown(const std::exception& error) {
  const std::string text = error.what();
  return {{"fault", "threw \"" + text.substr(0, text.find('\n')) + "\""}};
}

// The library's digest is taken before it is loaded: code that changes meanwhile shows later.
Json describe(const Json& question) {
  const auto path = question.at("library").get<std::string>();
  try {
    const std::string digest = remembered_sha256(path);
    const Plugin& plugin = load_library(path);
    return {{"kind", to_string(plugin.kind)}, {"name", plugin.name},     {"revision", plugin.revision},
            {"summary", plugin.summary},      {"stages", plugin.stages}, {"digest", digest}};
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

void note(PluginTraits& traits, unsigned stage, unsigned needs) {
  if ((needs & kNeedsAligned) != 0) traits.need_aligned |= stage;
  if ((needs & kNeedsBase) != 0) traits.need_base |= stage;
}

template <typename Stage>
void note(PluginTraits& traits, unsigned bit, Stage* stage) {
  if (stage == nullptr) return;
  note(traits, bit, stage->needs());
  if constexpr (std::is_base_of_v<TrainingStage, Stage>) {
    if (stage->draws_itself()) traits.draw |= bit;
  }
}

void note(PluginTraits& traits, const DefenseStages& stages) {
  note(traits, kStagePretrain, stages.pretrain);
  note(traits, kStageAlign, stages.align);
  note(traits, kStageScreen, stages.screen);
  note(traits, kStageTune, stages.tune);
  note(traits, kStageRepair, stages.repair);
  note(traits, kStageServe, stages.serve);
}

void note(PluginTraits& traits, const Attack& attack) {
  note(traits, kStageCollect, attack.needs());
  traits.tampers = dynamic_cast<const WeightAttack*>(&attack) != nullptr;
  std::set<std::string> names;
  for (const auto& asking : attack.askings()) {
    traits.askings.push_back({asking.name, static_cast<bool>(asking.decode)});
    if (!names.insert(asking.name).second) throw Error("it has two ways of asking of the name \"" + asking.name + "\"");
  }
  if (traits.askings.empty()) throw Error("it has no way of asking, expected at least one (Attack::askings)");
}

PluginTraits construct(const Plugin& plugin, Params& params) {
  PluginTraits traits;
  switch (plugin.kind) {
    case PluginKind::kAttack:
      note(traits, *plugin.make_attack(params));
      break;
    case PluginKind::kDefense:
      note(traits, plugin.make_defense(params));
      break;
    case PluginKind::kJudge:
      traits.judge = plugin.make_judge(params)->needs();
      break;
  }
  return traits;
}

Json to_json(const PluginTraits& traits) {
  const JudgeNeeds& judge = traits.judge;
  Json askings = Json::array();
  for (const auto& asking : traits.askings) askings.push_back({asking.name, asking.decodes});
  return {{"need_aligned", traits.need_aligned},
          {"need_base", traits.need_base},
          {"draw", traits.draw},
          {"corpora", traits.corpora},
          {"askings", askings},
          {"tampers", traits.tampers},
          {"judge",
           {{"aligned_model", judge.aligned_model},
            {"served_model", judge.served_model},
            {"model", judge.model},
            {"device", judge.device},
            {"dtype", judge.dtype}}}};
}

std::shared_ptr<Params::State> state_of(const Json& question) {
  auto state = std::make_shared<Params::State>();
  state->values = question.at("values");
  question.at("places").get_to(state->places);
  state->folder = question.at("folder").get<std::string>();
  for (const auto& path : question.at("missing")) state->missing.insert(path.get<std::string>());
  return state;
}

Json make(const Json& question) {
  const auto state = state_of(question);
  Json answer = {{"declared", Json::array()}, {"mistakes", Json::array()}, {"files", Json::object()}};
  try {
    check_files(question.at("library"));
    Params params(state);
    PluginTraits traits = construct(load_library(question.at("library").at("location").get<std::string>()), params);
    traits.corpora = state->corpora;
    answer["traits"] = to_json(traits);
  } catch (const Error& error) {
    answer["error"] = error.what();
  } catch (const std::exception& error) {
    if (!state->lacks_file) return thrown(error);
    answer["error"] = error.what();
  }
  for (const auto& each : state->declared) {
    answer["declared"].push_back({each.name, each.type, each.default_value, each.help});
  }
  for (const auto& each : state->mistakes) answer["mistakes"].push_back({each.place, each.sentence});
  for (const auto& [name, file] : state->files) answer["files"][name] = {{"path", file.path.string()}, {"digest", file.digest}};
  answer["card"] = state->card;
  answer["preset"] = state->preset;
  answer["resolved"] = state->resolved;
  answer["lacks_file"] = state->lacks_file;
  return answer;
}

Json wrap(const Json& question) {
  try {
    const auto attack = made_attack(question.at("plugin"), question.at("folder").get<std::string>());
    const Asking asking = asking_of(*attack, question.at("asking").get<std::string>());
    Json wrapped = Json::array();
    for (const auto& each : question.at("conversations")) {
      Conversation prompt = conversation_from_json(each);
      if (asking.wrap) asking.wrap(prompt);
      wrapped.push_back(to_json(prompt));
    }
    return {{"conversations", wrapped}};
  } catch (const std::exception& error) {
    return thrown(error);
  }
}

}  // namespace

Json answer_about_plugin(const Json& question) {
  try {
    const auto asked = question.at("question").get<std::string>();
    if (asked == "ready") return Json::object();
    if (asked == "describe") return describe(question);
    return asked == "make" ? make(question) : wrap(question);
  } catch (...) {
    return {{"fault", "threw something that is no std::exception"}};
  }
}

}  // namespace holdfast
