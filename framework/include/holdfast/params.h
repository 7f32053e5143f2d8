// Settings of a plugin, declared where they are read.
#pragma once

#include <holdfast/visibility.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// One declared setting, as `holdfast describe` prints it.
struct ParamInfo {
  std::string name;
  std::string type;           // "flag", "integer", "number", "text", "strings", "choice", "corpus", "file", "command", "path"
  std::string default_value;  // as TOML
  std::string help;
};

/// What a setting may be.
using SettingValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// Settings that were published together. A scenario takes them by `preset = "paper"`; what it writes itself counts before
/// them.
struct Preset {
  std::string name;  // "paper", "repo", ...
  std::vector<std::pair<std::string, SettingValue>> settings;
  std::string training = {};  // what they were trained with, in words: "LoRA of rank 32 on q, k and v, lr 5e-4, batches of 10"
};

/// What one wants to know of a method before its settings, as `holdfast describe` prints it. A plugin's class has it as
/// `static holdfast::Card card()`, or has none.
struct Card {
  std::string source;  // paper and place of the rule: "Huang et al. 2024, arXiv 2409.01586, algorithm 1"
  std::string cost;    // passes and memory beside plain training: "3 forward and backward passes a step (plain: 1)"
  std::vector<Preset> presets = {};
};

/// A program of the user's with its arguments, as a `command` setting names it.
struct Command {
  std::vector<std::string> words = {};  // the program first; each that is a file as its absolute path. Empty: none is named
  std::filesystem::path folder = {};    // of the scenario: where it runs
  std::string text = {};                // as the scenario states it, for messages
};

/// The settings a scenario gives to one plugin. A constructor reads each setting once, with its default and a help line; what
/// is read is what exists. A value of the wrong type or out of range is noted, the default is returned, and the run reports
/// every noted mistake together with the names that nobody read.
class Params {
 public:
  struct State;
  explicit Params(std::shared_ptr<State> state) : state_(std::move(state)) {}

  /// Before any setting is read. With presets in the card, `preset` is a setting by which a scenario picks one; keys hold what
  /// it sets, never its name. Throws Error for a preset that gives no setting or has another's name.
  void introduce(const Card& card);

  bool flag(const std::string& name, bool fallback, const std::string& help);
  std::int64_t integer(const std::string& name, std::int64_t fallback, const std::string& help, std::int64_t low = 0,
                       std::int64_t high = INT64_MAX);
  double number(const std::string& name, double fallback, const std::string& help, double low = -1e300, double high = 1e300);
  std::string text(const std::string& name, const std::string& fallback, const std::string& help);
  std::vector<std::string> strings(const std::string& name, const std::vector<std::string>& fallback, const std::string& help);
  std::string choice(const std::string& name, const std::string& fallback, const std::vector<std::string>& options,
                     const std::string& help);
  /// The name of a corpus of the scenario that the plugin will ask its context for; empty: none. The stage key holds the
  /// content of these corpora and of no other, and a scenario that lacks one is refused.
  std::string corpus(const std::string& name, const std::string& fallback, const std::string& help);
  /// A file, or the folder of a checkpoint, given by path, absolute or relative to the scenario. Empty when the setting is
  /// absent. The stage key holds the SHA-256 of its content, never its path.
  std::filesystem::path file(const std::string& name, const std::string& help);
  /// A program and its arguments, as a list of texts: ["python3", "my_filter.py"]. A word that is a file, absolute or relative
  /// to the scenario, stands in the stage key as the SHA-256 of its content, any other as it is; the first is such a file or is
  /// found on PATH. What else the program reads is in no key.
  Command command(const std::string& name, const std::string& help);
  /// A path that need not exist, absolute or relative to the scenario, and is never part of a stage key. Empty when absent.
  std::filesystem::path path(const std::string& name, const std::string& help);

  /// Leaves settings out of stage keys: those that cannot change a result (time limits, where a recording is kept).
  void unkeyed(const std::vector<std::string>& names);

  /// Notes a mistake of the setting `name` that only its reader can see ("low must be below high").
  void mistake(const std::string& name, const std::string& sentence);

 private:
  std::shared_ptr<State> state_;
};

/// Constructs a plugin's class, introduced by its card if it has one.
template <typename Interface, typename Class>
std::shared_ptr<Interface> make_plugin(Params& params) {
  if constexpr (requires { Class::card(); }) params.introduce(Class::card());
  return std::make_shared<Class>(params);
}

}  // namespace holdfast
