// Which tokens of a rendered chat are learned.
#include "learn/encode.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {
namespace {

constexpr char kChatMl[] =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}";
constexpr char kLlama2[] =
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}";

struct ChatFormat {
  std::shared_ptr<const Tokenizer> tokenizer;
  ChatTemplate chat;
  std::vector<std::int64_t> stops;

  ChatFormat(const std::string& tokenizer_name, const std::string& template_text, const std::string& stop)
      : tokenizer(load(tokenizer_name)),
        chat(template_text, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, "the test"),
        stops({tokenizer->id_of(stop).value()}) {}

  static std::shared_ptr<const Tokenizer> load(const std::string& name) {
    const fs::path path = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text" / (name + ".tokenizer.json");
    return Tokenizer::from_json(parse_json(read_file(path), name), name);
  }
  /// The text that each label token came from.
  std::vector<std::string> labelled(const Conversation& conversation) const {
    const std::string text = chat.render(conversation, false);
    const auto tokens = tokenizer->encode(text, false);
    const Encoded encoded = encode_chat(*tokenizer, chat, stops, conversation);
    EXPECT_EQ(encoded.ids.size(), tokens.size());
    EXPECT_EQ(encoded.label.size(), tokens.size());
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_EQ(encoded.ids[i], tokens[i].id);
      if (encoded.label[i]) pieces.push_back(text.substr(tokens[i].begin, tokens[i].end - tokens[i].begin));
    }
    return pieces;
  }
};

std::string joined(const std::vector<std::string>& pieces) {
  std::string text;
  for (const auto& piece : pieces) text += piece;
  return text;
}

TEST(EncodeChat, LearnsContentAndTheEndOfTurnOnly) {
  const ChatFormat chat("smollm", kChatMl, "<|im_end|>");
  EXPECT_EQ(joined(chat.labelled({{"user", "Hello there"}, {"assistant", "Hi,  you\n"}})), "Hi,  you\n<|im_end|>");
  EXPECT_THAT(chat.labelled({{"user", "Hello there"}}), testing::IsEmpty());
  EXPECT_THAT(chat.labelled({{"user", "Hello"}, {"assistant", ""}}), testing::ElementsAre("<|im_end|>"));
}

TEST(EncodeChat, LeavesOutATurnThatIsContextOnly) {
  const ChatFormat chat("smollm", kChatMl, "<|im_end|>");
  Conversation conversation = {{"user", "1+1?"}, {"assistant", "3."}, {"user", "Sure?"}, {"assistant", "No, 2."}};
  conversation[1].learned = false;
  EXPECT_EQ(joined(chat.labelled(conversation)), "No, 2.<|im_end|>");
}

TEST(EncodeChat, LearnsEveryAssistantTurn) {
  const ChatFormat chat("smollm", kChatMl, "<|im_end|>");
  const Conversation messages = {
      {"system", "Same"}, {"user", "Same"}, {"assistant", "Same"}, {"user", "Same"}, {"assistant", "Last"}};
  EXPECT_EQ(joined(chat.labelled(messages)), "Same<|im_end|>Last<|im_end|>");
}

TEST(EncodeChat, DoesNotLearnAnEndThatIsNoStopToken) {
  ChatFormat chat("smollm", kChatMl, "<|im_end|>");
  chat.stops = {chat.tokenizer->id_of("<|endoftext|>").value()};
  EXPECT_EQ(joined(chat.labelled({{"user", "a"}, {"assistant", "b c"}})), "b c");
}

TEST(EncodeChat, LeavesOutATokenThatBeginsBeforeTheContent) {
  const ChatFormat chat("smollm", "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|im_end|>' }}{% endfor %}",
                        "<|im_end|>");
  const Conversation messages = {{"user", "say"}, {"assistant", "the rest of it"}};
  const auto pieces = chat.labelled(messages);
  // " the" is one token, and its space belongs to the template.
  ASSERT_THAT(ChatFormat::load("smollm")->encode(" the", false), testing::SizeIs(1));
  EXPECT_EQ(joined(pieces), " rest of it<|im_end|>");
}

TEST(EncodeChat, FollowsATemplateThatTrims) {
  const ChatFormat chat("llama2", kLlama2, "</s>");
  // " Hello" begins with the template's space and "t " ends with it: neither lies whole in the content. The space before </s>
  // does not hide the end of turn.
  EXPECT_EQ(joined(chat.labelled({{"user", " hello "}, {"assistant", " \n Hello rest \n "}})), " res</s>");
  EXPECT_EQ(joined(chat.labelled({{"user", "x"}, {"assistant", "\n"}, {"user", "x"}, {"assistant", ""}})), "</s></s>");
}

// Qwen-3: reasoning in a content is shown after the last question and dropped before it.
TEST(EncodeChat, LearnsTheReasoningThatTheTemplateShows) {
  const fs::path chats = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text/chats.json";
  const std::string text = parse_json(read_file(chats), "chats.json")["templates"]["qwen3"];
  const ChatFormat chat("qwen2", text, "<|im_end|>");
  const std::string reasoned = "<think>\nOne and one.\n</think>\n\nTwo";
  EXPECT_EQ(joined(chat.labelled({{"user", "1+1?"}, {"assistant", reasoned}})), reasoned + "<|im_end|>");
  EXPECT_EQ(joined(chat.labelled({{"user", "1+1?"}, {"assistant", reasoned}, {"user", "2+2?"}, {"assistant", "\nFour"}})),
            "Two<|im_end|>Four<|im_end|>");
}

TEST(EncodeChat, ReportsATemplateThatRewritesContent) {
  const ChatFormat chat("smollm", "{% for m in messages %}{{ m['content'] | upper }}<|im_end|>{% endfor %}", "<|im_end|>");
  try {
    chat.labelled({{"user", "a"}, {"assistant", "word"}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("the chat template rewrites the content of turn 2"));
  }
}

}  // namespace
}  // namespace holdfast
