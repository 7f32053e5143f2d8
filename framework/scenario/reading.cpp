#include "scenario/reading.h"

#include <holdfast/error.h>

#include "base/untrusted.h"

namespace holdfast {

Reading::Reading(const fs::path& path, PluginHost& host) : mistakes(path.string()), plugins(host) {
  scenario.path = path;
  scenario.folder = fs::absolute(path).parent_path().lexically_normal();
}

std::optional<DataSource> read_data(Reading& reading, ScenarioTable& table, const std::string& key, const std::string& text,
                                    Dataset* rows, const DataPart& part) {
  if (const fs::path path = resolve_path(text, reading.scenario.folder); reading.missing.contains(path)) {
    // One question stands for those of the file, so that what templates make of it tells stages apart.
    if (rows != nullptr) *rows = {{{{"user", path.string()}}, {}}};
    return DataSource{path.string(), missing_digest(path)};
  }
  try {
    return resolve_data(text, reading.scenario.folder, rows, part);
  } catch (const Error& error) {
    table.mistake(key, error.what());
    return std::nullopt;
  }
}

std::string model_path(Reading& reading, const std::string& text, ScenarioTable& table, const std::string& key) {
  if (text.empty() || text == "organism") return text;
  const fs::path path = resolve_path(text, reading.scenario.folder);
  if (reading.missing.contains(path)) return path.string();
  if (!is_there(path)) {
    table.mistake(key, "there is no model at \"" + text + "\" (looked for " + path.string() +
                           "); expected \"organism\", a GGUF file or a Hugging Face folder");
  } else if (fs::is_directory(path) && !fs::exists(path / "config.json") && !fs::exists(path / "adapter_config.json")) {
    table.mistake(key, "the folder " + path.string() + " is no model: it has neither config.json nor adapter_config.json");
  }
  return path.string();
}

void check_name(ScenarioTable& table, std::set<std::string>& names, const std::string& name, const std::string& what) {
  const std::string key = table.has("name") ? "name" : "plugin";
  if (name == "none") {
    table.mistake(key, "\"none\" is the control " + what + " that every matrix has: choose another name");
  } else if (name.find('@') != std::string::npos) {
    table.mistake(key, "\"" + name + "\" has an @, which marks wrapped controls: choose another name");
  } else if (!names.insert(name).second) {
    table.mistake(key, "two " + what + "s are named \"" + name + "\"");
  }
}

}  // namespace holdfast
