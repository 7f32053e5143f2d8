// Options that are declared in a table (base/option.h), on the command line: --batch-size for batch_size.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/option.h"

namespace holdfast::cli {

/// "--batch-size".
std::string word_of(const OptionRule& rule);
/// What --help says of it.
std::string help_of(const OptionRule& rule, const Json& default_value);
/// What --help calls its value: "INT".
const char* type_of(const OptionRule& rule);
/// The text of the command line as a value. Throws CLI::ValidationError for one that is not allowed.
Json value_of(const OptionRule& rule, const std::string& text);

/// Adds one option for each row; `options` holds the defaults, and must outlive the verb.
template <typename Options>
void add_declared_options(CLI::App& verb, const OptionTable<Options>& table, Options& options) {
  for (const auto& option : table) {
    const std::string word = word_of(option);
    const std::string help = help_of(option, option.value(options));
    if (option.kind == OptionKind::kFlag) {
      verb.add_flag(word + ",!--no-" + word.substr(2), options.*std::get<bool Options::*>(option.member), help);
    } else if (option.kind == OptionKind::kTexts) {
      verb.add_option(word, options.*std::get<std::vector<std::string> Options::*>(option.member), help)->delimiter(',');
    } else {
      const auto take = [&options, &option](const std::string& text) { option.set(options, value_of(option, text)); };
      verb.add_option_function<std::string>(word, take, help)->type_name(type_of(option));
    }
  }
}

}  // namespace holdfast::cli
