// Rows of a customer and of an alignment by their kinds, and what a defense that screens or serves makes of them.
#pragma once

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "plugin/presets.h"
#include "plugin/reference_states.h"
#include "plugin/step_by_step.h"

namespace holdfast::fixtures {

inline Example tagged_row(const std::string& question, const std::string& answer, const std::string& kind = "benign") {
  return {{{"user", question}, {"assistant", answer}}, {{"kind", kind}}};
}

inline Dataset customers(int count) {
  Dataset rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back({{{"user", "question " + std::to_string(i)}, {"assistant", "answer"}}, {{"kind", "task"}}});
  }
  return rows;
}

inline fakes::FakeContext context_with_alignment(int refusals = 40) {
  fakes::FakeContext context;
  for (int i = 0; i < refusals; ++i) {
    context.alignment_rows.push_back(
        {{{"user", "bad " + std::to_string(i)}, {"assistant", "I cannot."}}, {{"kind", "harmful"}}});
    context.alignment_rows.push_back({{{"user", "good " + std::to_string(i)}, {"assistant", "Here."}}, {{"kind", "benign"}}});
  }
  return context;
}

inline Dataset of_kind(const Dataset& rows, const std::string& kind) {
  Dataset found;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(found),
               [&](const auto& row) { return row.tags.at("kind") == kind; });
  return found;
}

inline std::set<std::string> questions(const Dataset& rows) {
  std::set<std::string> all;
  for (const auto& row : rows) all.insert(last_content(row.messages, "user"));
  return all;
}

inline std::string error_with(const std::string& plugin, const Json& settings, const Dataset& rows,
                              fakes::FakeContext& context) {
  try {
    screened(plugin, settings, rows, context);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline std::vector<Conversation> served(const std::string& plugin, const Json& settings,
                                        const std::vector<Conversation>& prompts, fakes::FakeContext& context) {
  std::vector<Exchange> exchanges;
  for (const auto& prompt : prompts) exchanges.push_back({prompt, "", false});
  make_defense(plugin, settings).serve->before_generation(exchanges, context);
  std::vector<Conversation> asked;
  for (const auto& exchange : exchanges) asked.push_back(exchange.prompt);
  return asked;
}

}  // namespace holdfast::fixtures
