// What a model's replies say beside their words: whether they were cut, and where a thought begins.
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <algorithm>

#include "learn/checkpoint_fixtures.h"

namespace holdfast {
namespace {

constexpr char kAsks[] = "{{ messages[0]['content'] }}";
constexpr char kOpens[] = "{{ messages[0]['content'] }}{% if add_generation_prompt %}<think>\n{% endif %}";
constexpr char kOpensAndCloses[] = "{{ messages[0]['content'] }}<think>\n\n</think>\n\n";

class GeneratedTest : public ::testing::Test {
 protected:
  // The fixture with another template, tokenizer and stop tokens.
  std::unique_ptr<LanguageModel> with(const std::string& chat, std::shared_ptr<const Tokenizer> tokenizer,
                                      const std::vector<std::int64_t>& stops) const {
    const auto decoder = std::make_shared<Decoder>(model_->decoder().config(), model_->decoder().weights(), "the fixture");
    return std::make_unique<LanguageModel>(
        decoder, std::move(tokenizer), std::make_shared<ChatTemplate>(chat, std::map<std::string, std::string>(), "the test"),
        stops, SideFiles());
  }
  std::shared_ptr<const Tokenizer> tokenizer() const { return {model_, &model_->tokenizer()}; }
  static Generated reply(LanguageModel& model) {
    GenerateOptions options;
    options.max_new_tokens = 6;
    return model.generate({{{"user", "Say it."}}}, options).front();
  }

  std::shared_ptr<LanguageModel> model_ = fixtures::load("grouped");
};

TEST_F(GeneratedTest, IsCutUnlessAStopTokenCame) {
  const auto endless = reply(*with(kAsks, tokenizer(), {}));
  EXPECT_TRUE(endless.cut);
  ASSERT_EQ(endless.ids.size(), 6u);
  // The stop token that comes at the last place, and the one that comes first.
  for (const auto at : {5, 0}) {
    const auto id = endless.ids[static_cast<std::size_t>(at)];
    const auto first = std::find(endless.ids.begin(), endless.ids.end(), id) - endless.ids.begin();
    const auto stopped = reply(*with(kAsks, tokenizer(), {id}));
    EXPECT_FALSE(stopped.cut);
    EXPECT_EQ(stopped.ids.size(), static_cast<std::size_t>(first));
  }
}

TEST_F(GeneratedTest, OptionsThatAreNotAllowedAreRefused) {
  GenerateOptions options;
  options.batch_size = 0;  // no batch would ever come to an end
  try {
    model_->generate({{{"user", "Say it."}}}, options);
    FAIL() << "a batch of no prompts was begun";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the generation option \"batch_size\" is 0, expected an integer of at least 1");
  }
}

TEST_F(GeneratedTest, BeginsWithTheThoughtThatThePromptOpened) {
  const auto thought = reply(*with(kOpens, tokenizer(), {}));
  EXPECT_EQ(thought.text, "<think>\n" + tokenizer()->decode(thought.ids, true));
  const auto closed = reply(*with(kOpensAndCloses, tokenizer(), {}));
  EXPECT_EQ(closed.text, tokenizer()->decode(closed.ids, true));
}

TEST_F(GeneratedTest, KeepsSpecialTokensWhereOneMarksAThought) {
  const auto plain = reply(*with(kAsks, tokenizer(), {}));
  const fs::path path = fixtures::checkpoint("grouped") / "tokenizer.json";
  Json definition = parse_json(read_file(path), path.string());
  const auto marked = [&](const std::string& mark) {
    Json changed = definition;
    changed["added_tokens"].push_back({{"id", plain.ids[0]},
                                       {"content", mark},
                                       {"special", true},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false}});
    return reply(*with(kAsks, Tokenizer::from_json(changed, "the test"), {})).text;
  };
  EXPECT_TRUE(marked("[THINK]").starts_with("[THINK]"));
  EXPECT_FALSE(marked("[OTHER]").starts_with("[OTHER]"));
}

}  // namespace
}  // namespace holdfast
