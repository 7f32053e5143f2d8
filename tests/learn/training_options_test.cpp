#include "learn/training_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"

namespace holdfast {
namespace {

struct Anything {
  template <typename T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};

// How many members an aggregate has.
template <typename Options, typename... Members>
consteval std::size_t members() {
  if constexpr (requires { Options{Members{}..., Anything{}}; }) {
    return members<Options, Members..., Anything>();
  } else {
    return sizeof...(Members);
  }
}

TEST(TrainingOptions, EachIsDeclared) {
  EXPECT_EQ(training_options().size(), members<TrainingOptions>());
  EXPECT_EQ(generate_options().size(), members<GenerateOptions>() - 1) << "all but the seed";
}

// Keys of stages are made of it.
TEST(TrainingOptions, TheirJsonIsWhatItWas) {
  TrainingOptions options;
  options.lora_targets = {"q_proj", "v_proj"};
  EXPECT_EQ(canonical(to_json(options)),
            R"({"batch_size":8,"clip_norm":1.0,"epochs":1,"lora_alpha":32.0,"lora_rank":16,)"
            R"("lora_targets":["q_proj","v_proj"],"lr":2e-05,"max_length":1024,"method":"full","micro_batch_size":0,)"
            R"("schedule":"constant","shuffle":true,"step_gamma":0.85,"warmup_steps":0,"weight_decay":0.0})");
  EXPECT_EQ(to_json(training_options_from_json(to_json(options))), to_json(options));
  options.activation_checkpoints = true;
  options.optimizer_states = "8bit";
  const Json set = to_json(options);
  EXPECT_EQ(set.at("activation_checkpoints"), true) << "named where it is not its default";
  EXPECT_EQ(set.at("optimizer_states"), "8bit");
  EXPECT_EQ(to_json(training_options_from_json(set)), set);
  const GenerateOptions greedy;
  EXPECT_EQ(canonical(to_json(greedy)), R"({"batch_size":16,"max_new_tokens":64,"temperature":0.0,"top_p":1.0})");
  EXPECT_EQ(to_json(generate_options_from_json(to_json(greedy))), to_json(greedy));
}

TEST(TrainingOptions, TheirDefaultsAreAllowed) {
  EXPECT_NO_THROW(check_options(training_options(), TrainingOptions(), "training"));
  EXPECT_NO_THROW(check_options(generate_options(), GenerateOptions(), "generation"));
}

// A row of the table of options in docs/scenario.md, without the code marks.
std::string documented(const OptionRule& rule, const Json& default_value) {
  return "| " + rule.name + " | " + shown(default_value) + " | " + expected(rule) + " | " + rule.help + " |";
}

template <typename Options>
void expect_documented(const OptionTable<Options>& table) {
  std::vector<std::string> rows;
  std::istringstream text(read_file(fs::path(HOLDFAST_SOURCE_DIR) / "docs" / "scenario.md"));
  for (std::string line; std::getline(text, line);) {
    std::erase(line, '`');
    rows.push_back(line);
  }
  std::vector<std::string> wanted;
  for (const auto& option : table) wanted.push_back(documented(option, option.value({})));
  const auto first = std::find(rows.begin(), rows.end(), wanted.front());
  ASSERT_NE(first, rows.end()) << wanted.front();
  std::vector<std::string> found;
  for (auto row = first; row != rows.end() && row->starts_with("|"); ++row) found.push_back(*row);
  EXPECT_EQ(found, wanted);
}

TEST(TrainingOptions, TheScenarioPageHasTheirTable) { expect_documented(training_options()); }
TEST(GenerateOptions, TheScenarioPageHasTheirTable) { expect_documented(generate_options()); }

}  // namespace
}  // namespace holdfast
