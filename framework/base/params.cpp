#include <holdfast/error.h>
#include <holdfast/params.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "base/digest.h"
#include "base/params_state.h"
#include "base/remembered_digest.h"

namespace holdfast {
namespace {

std::string type_of(const Json& value) {
  if (value.is_boolean()) return "a flag";
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a text";
  if (value.is_array()) return "a list";
  return "a table";
}

std::string shown(const Json& value) { return value.dump(); }

// Declares the setting and returns its value: the scenario's, or else the preset's, or else the fallback, which also stands for
// one that `fits` says no to.
Json read(Params::State& state, const ParamInfo& info, const Json& fallback, const std::string& expected,
          const std::function<bool(const Json&)>& fits) {
  state.declared.push_back(info);
  const Json otherwise = state.preset.value(info.name, fallback);
  if (state.preset.contains(info.name) && !fits(otherwise)) {
    throw Error("the preset sets \"" + info.name + "\" to " + shown(otherwise) + ", expected " + expected +
                ": correct the plugin");
  }
  Json value = state.values.value(info.name, otherwise);
  if (state.values.contains(info.name) && !fits(value)) {
    note_mistake(state, info.name,
                 "setting \"" + info.name + "\" is " + type_of(value) + " (" + shown(value) + "), expected " + expected);
    value = otherwise;
  }
  state.resolved[info.name] = value;
  return value;
}

template <typename T>
std::string range_text(const std::string& what, T low, T high, T lowest, T highest) {
  std::ostringstream text;
  text << what;
  if (low > lowest && high < highest) {
    text << " from " << low << " to " << high;
  } else if (low > lowest) {
    text << " of at least " << low;
  } else if (high < highest) {
    text << " of at most " << high;
  }
  return text.str();
}

Json to_json(const std::vector<std::pair<std::string, SettingValue>>& settings) {
  Json values = Json::object();
  for (const auto& [name, value] : settings) {
    values[name] = std::visit([](const auto& held) { return Json(held); }, value);
  }
  return values;
}

Json to_json(const Card& card) {
  Json presets = Json::array();
  for (const auto& preset : card.presets) {
    presets.push_back({{"name", preset.name}, {"settings", to_json(preset.settings)}, {"training", preset.training}});
  }
  return {{"source", card.source}, {"cost", card.cost}, {"presets", presets}};
}

bool all_strings(const Json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_string(); });
}

// Not where its name is too long for one, as a word that is a script itself may be.
bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// Where the first word of a command is run from; nothing when it cannot be run.
std::optional<std::string> program_of(const std::string& word) {
  const auto runs = [](const fs::path& path) { return is_file(path) && ::access(path.c_str(), X_OK) == 0; };
  if (word.find('/') != std::string::npos)
    return fs::path(word).is_absolute() && runs(word) ? std::optional(word) : std::nullopt;
  const char* listed = std::getenv("PATH");
  std::istringstream folders(listed == nullptr ? "" : listed);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty() && runs(fs::path(folder) / word)) return (fs::path(folder) / word).string();
  }
  return std::nullopt;
}

}  // namespace

void Params::introduce(const Card& card) {
  state_->card = to_json(card);
  if (card.presets.empty()) return;
  std::vector<std::string> names = {""};
  for (const auto& preset : card.presets) {
    if (preset.settings.empty() || std::count(names.begin(), names.end(), preset.name) > 0) {
      throw Error("the preset \"" + preset.name + "\" gives no setting or has another's name: correct the plugin");
    }
    names.push_back(preset.name);
  }
  const std::string chosen = choice(kPresetSetting, "", names, "published settings; what is set beside it counts before them");
  unkeyed({kPresetSetting});
  for (const auto& preset : card.presets) {
    if (preset.name != chosen) continue;
    state_->preset = to_json(preset.settings);
  }
}

bool Params::flag(const std::string& name, bool fallback, const std::string& help) {
  return read(*state_, {name, "flag", shown(fallback), help}, fallback, "a flag (true or false)",
              [](const Json& value) { return value.is_boolean(); });
}

std::int64_t Params::integer(const std::string& name, std::int64_t fallback, const std::string& help, std::int64_t low,
                             std::int64_t high) {
  const std::string expected = range_text<std::int64_t>("an integer", low, high, INT64_MIN, INT64_MAX);
  return read(*state_, {name, "integer", shown(fallback), help}, fallback, expected, [&](const Json& value) {
    return value.is_number_integer() && value.get<std::int64_t>() >= low && value.get<std::int64_t>() <= high;
  });
}

double Params::number(const std::string& name, double fallback, const std::string& help, double low, double high) {
  const std::string expected = range_text("a number", low, high, -1e300, 1e300);
  // Stored as a double whatever was typed, so that 2 and 2.0 give one stage key.
  const Json value = read(*state_, {name, "number", shown(fallback), help}, fallback, expected, [&](const Json& given) {
    return given.is_number() && given.get<double>() >= low && given.get<double>() <= high;
  });
  state_->resolved[name] = value.get<double>();
  return value.get<double>();
}

std::string Params::text(const std::string& name, const std::string& fallback, const std::string& help) {
  return read(*state_, {name, "text", shown(fallback), help}, fallback, "a text",
              [](const Json& value) { return value.is_string(); });
}

std::vector<std::string> Params::strings(const std::string& name, const std::vector<std::string>& fallback,
                                         const std::string& help) {
  return read(*state_, {name, "strings", shown(fallback), help}, fallback, "a list of texts", all_strings);
}

std::string Params::choice(const std::string& name, const std::string& fallback, const std::vector<std::string>& options,
                           const std::string& help) {
  std::string expected = "one of";
  for (const auto& option : options) expected += (&option == &options.front() ? " \"" : ", \"") + option + "\"";
  return read(*state_, {name, "choice", shown(fallback), help + " (" + expected + ")"}, fallback, expected,
              [&](const Json& value) {
                return value.is_string() && std::count(options.begin(), options.end(), value.get<std::string>()) > 0;
              });
}

std::string Params::corpus(const std::string& name, const std::string& fallback, const std::string& help) {
  const std::string given = read(*state_, {name, "corpus", shown(fallback), help}, fallback, "the name of a corpus",
                                 [](const Json& value) { return value.is_string(); });
  if (!given.empty()) state_->corpora.insert(given);
  return given;
}

std::filesystem::path Params::file(const std::string& name, const std::string& help) {
  const std::string given =
      read(*state_, {name, "file", "\"\"", help}, "", "a path", [](const Json& value) { return value.is_string(); });
  if (given.empty()) return {};
  const fs::path path = (fs::path(given).is_absolute() ? fs::path(given) : state_->folder / given).lexically_normal();
  if (state_->missing.contains(path)) {
    state_->lacks_file = true;
    state_->resolved[name] = missing_digest(path);
    return {};
  }
  try {
    state_->resolved[name] = content_digest(path);
    state_->files[name] = {path, state_->resolved[name]};
  } catch (const Error& error) {
    note_mistake(*state_, name, "setting \"" + name + "\": " + error.what());
    return {};
  }
  return path;
}

Command Params::command(const std::string& name, const std::string& help) {
  const std::vector<std::string> given =
      read(*state_, {name, "command", "[]", help}, Json::array(), "a list of texts", all_strings);
  if (given.empty()) return {};
  Command command;
  command.folder = state_->folder.empty() ? fs::current_path() : fs::absolute(state_->folder);
  for (std::size_t i = 0; i < given.size(); ++i) {
    command.text += (i == 0 ? "" : " ") + given[i];
    command.words.push_back(given[i]);
    const fs::path path = (state_->folder / given[i]).lexically_normal();
    if (state_->missing.contains(path)) {
      state_->lacks_file = true;
      state_->resolved[name][i] = {{"sha256", missing_digest(path)}};
    } else if (!given[i].empty() && is_file(path)) {
      const std::string digest = remembered_sha256(path);
      command.words[i] = fs::absolute(path).string();
      state_->files[word_name(name, i)] = {path, digest};
      state_->resolved[name][i] = {{"sha256", digest}};
    }
  }
  if (state_->lacks_file) return {};
  if (const auto program = program_of(command.words.front())) {
    command.words.front() = *program;
    return command;
  }
  note_mistake(*state_, name,
               "setting \"" + name + "\": \"" + given.front() +
                   "\" is no program that can be run: neither an executable file beside the scenario nor a name on PATH. A "
                   "script comes after its interpreter: [\"python3\", \"my_filter.py\"]");
  return {};
}

std::filesystem::path Params::path(const std::string& name, const std::string& help) {
  const std::string given =
      read(*state_, {name, "path", "\"\"", help}, "", "a path", [](const Json& value) { return value.is_string(); });
  unkeyed({name});
  if (given.empty()) return {};
  return fs::path(given).is_absolute() ? fs::path(given) : state_->folder / given;
}

void Params::unkeyed(const std::vector<std::string>& names) {
  for (const auto& name : names) state_->resolved.erase(name);
}

// Without its file a constructor may find fault with settings that are right.
void Params::mistake(const std::string& name, const std::string& sentence) {
  if (!state_->lacks_file) note_mistake(*state_, name, sentence);
}

}  // namespace holdfast
