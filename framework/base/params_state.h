// The runner's side of holdfast::Params: values with their places, what was declared, resolved and mistaken.
#pragma once

#include <holdfast/params.h>

#include <functional>
#include <map>
#include <set>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// The setting that picks one of a card's presets.
inline constexpr const char* kPresetSetting = "preset";

struct ParamMistake {
  std::string place;  // "scenario.toml:12:9", or empty when the value came from nowhere
  std::string sentence;
};

/// A file whose digest is in a stage's key.
struct KeyedFile {
  fs::path path;
  std::string digest;
  bool operator==(const KeyedFile&) const = default;
};

struct Params::State {
  Json values = Json::object();               // as the scenario gives them
  std::map<std::string, std::string> places;  // "file:line:column" of each value
  fs::path folder;                            // relative `file` settings start here
  Json preset = Json::object();               // what the chosen preset sets
  std::set<fs::path> missing;                 // files that are not there and may be missing: the scenario says so

  Json card;                        // {"source", "cost", "presets": [{"name", "settings", "training"}]}, null where none is
  std::vector<ParamInfo> declared;  // in the order they were read
  Json resolved = Json::object();   // for stage keys: every declared setting with its value; a file as its SHA-256
  std::set<std::string> corpora;    // that the constructor named
  /// Those whose digest is in `resolved`, by setting; word i of a command by "setting[i]".
  std::map<std::string, KeyedFile> files;
  std::vector<ParamMistake> mistakes;
  bool lacks_file = false;  // one of `missing` was asked for: the constructor saw an absent setting
};

/// The name in State::files of a word of a command.
std::string word_name(const std::string& setting, std::size_t word);
/// What stands for the SHA-256 of a file that is missing.
std::string missing_digest(const fs::path& path);

/// Notes a mistake of that setting, at its place.
void note_mistake(Params::State& state, const std::string& name, const std::string& sentence);

/// Adds a mistake for every value that no one read, with a suggestion, and for what a preset sets and no one read. Call after
/// the plugin is constructed.
void note_unread(Params::State& state, const std::string& plugin_name);

}  // namespace holdfast
