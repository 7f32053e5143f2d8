// Typed reading of one TOML table: every mistake is noted with its place, and reading goes on.
#pragma once

#include <toml++/toml.h>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/params_state.h"

namespace holdfast {

/// One TOML document. Throws Error naming `source` and the place of the fault.
toml::table parse_toml(const std::string& text, const std::string& source);

/// The mistakes of one file, in the order of their places, each once.
class Mistakes {
 public:
  explicit Mistakes(std::string file) : file_(std::move(file)) {}
  void add(const toml::source_region& where, const std::string& sentence);
  void add(const ParamMistake& mistake, const toml::source_region& fallback);
  std::string place(const toml::source_region& where) const;
  bool empty() const { return found_.empty(); }
  /// Throws one Error with a line a mistake, when there are any.
  void throw_if_any();

 private:
  struct Found {
    std::int64_t line, column;
    std::string text;
  };
  void note(Found found);

  std::string file_;
  std::vector<Found> found_;
};

class ScenarioTable {
 public:
  /// `title` names the table in messages: "[scenario]", "[[attack]]".
  ScenarioTable(const toml::table& table, std::string title, Mistakes& mistakes)
      : table_(table), title_(std::move(title)), mistakes_(mistakes) {}

  bool has(const std::string& name) const { return table_.contains(name); }
  std::string text(const std::string& name, const std::string& fallback);
  std::string required_text(const std::string& name);
  std::string choice(const std::string& name, const std::string& fallback, const std::vector<std::string>& options);
  std::int64_t integer(const std::string& name, std::int64_t fallback, std::int64_t low, std::int64_t high = INT64_MAX);
  double number(const std::string& name, double fallback, double low, double high = 1e300);
  bool flag(const std::string& name, bool fallback);
  std::vector<std::string> texts(const std::string& name, const std::vector<std::string>& fallback);
  std::vector<std::int64_t> integers(const std::string& name, const std::vector<std::int64_t>& fallback, std::int64_t low);
  /// A sub-table, or null.
  const toml::table* table(const std::string& name);
  /// A sub-table as "[name]"; an empty one when there is none.
  ScenarioTable section(const std::string& name);
  /// An array of tables (or of anything, for `items`); empty when absent.
  std::vector<const toml::table*> tables(const std::string& name);
  std::vector<const toml::node*> items(const std::string& name);
  /// All keys that nobody read yet, as plugin settings with their places.
  Params::State rest(const fs::path& folder);
  /// Notes every key that nobody read.
  void finish();

  /// Notes a mistake at the value of `name`, or at the table where there is none.
  void mistake(const std::string& name, const std::string& sentence);
  toml::source_region place(const std::string& name) const;
  toml::source_region place() const { return table_.source(); }
  const std::string& title() const { return title_; }
  Mistakes& mistakes() { return mistakes_; }

 private:
  const toml::node* read(const std::string& name);
  void wrong(const std::string& name, const toml::node& found, const std::string& expected);

  const toml::table& table_;
  std::string title_;
  Mistakes& mistakes_;
  std::vector<std::string> known_;
};

/// A value as settings hold it; dates and times, which JSON has not, as texts.
Json to_json(const toml::node& node);
/// "an integer (3)": a value as messages name it.
std::string described(const toml::node& node);

}  // namespace holdfast
