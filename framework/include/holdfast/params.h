// Settings of a plugin, declared where they are read.
#pragma once

#include <holdfast/visibility.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// One declared setting, as `holdfast describe` prints it.
struct ParamInfo {
  std::string name;
  std::string type;           // "flag", "integer", "number", "text", "strings", "choice", "file", "path"
  std::string default_value;  // as TOML
  std::string help;
};

/// The settings a scenario gives to one plugin. A constructor reads each setting once, with its default and a help line; what
/// is read is what exists. A value of the wrong type or out of range is noted, the default is returned, and the run reports
/// every noted mistake together with the names that nobody read.
class Params {
 public:
  struct State;
  explicit Params(std::shared_ptr<State> state) : state_(std::move(state)) {}

  bool flag(const std::string& name, bool fallback, const std::string& help);
  std::int64_t integer(const std::string& name, std::int64_t fallback, const std::string& help, std::int64_t low = 0,
                       std::int64_t high = INT64_MAX);
  double number(const std::string& name, double fallback, const std::string& help, double low = -1e300, double high = 1e300);
  std::string text(const std::string& name, const std::string& fallback, const std::string& help);
  std::vector<std::string> strings(const std::string& name, const std::vector<std::string>& fallback, const std::string& help);
  std::string choice(const std::string& name, const std::string& fallback, const std::vector<std::string>& options,
                     const std::string& help);
  /// A file, or the folder of a checkpoint, given by path, absolute or relative to the scenario. Empty when the setting is
  /// absent. The stage key holds the SHA-256 of its content, never its path.
  std::filesystem::path file(const std::string& name, const std::string& help);
  /// A path that need not exist, absolute or relative to the scenario, and is never part of a stage key. Empty when absent.
  std::filesystem::path path(const std::string& name, const std::string& help);

  /// Leaves settings out of stage keys: those that cannot change a result (time limits, where a recording is kept).
  void unkeyed(const std::vector<std::string>& names);

  /// Notes a mistake of the setting `name` that only its reader can see ("low must be below high").
  void mistake(const std::string& name, const std::string& sentence);

 private:
  std::shared_ptr<State> state_;
};

}  // namespace holdfast
