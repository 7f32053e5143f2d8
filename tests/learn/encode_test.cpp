// Which tokens of a rendered chat are learned.
#include "learn/encode.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/file.h"
#include "base/json.h"
#include "text/fixtures.h"

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

// Deep alignment: the beginning of a turn is context.
TEST(EncodeChat, LearnsFromTheGivenByteOn) {
  const ChatFormat chat("smollm", kChatMl, "<|im_end|>");
  Conversation conversation = {{"user", "1+1?"}, {"assistant", "It is three. No, two."}};
  const auto from = [&](std::size_t byte) {
    conversation[1].learn_from = byte;
    return joined(chat.labelled(conversation));
  };
  EXPECT_EQ(from(0), "It is three. No, two.<|im_end|>");
  EXPECT_EQ(from(12), " No, two.<|im_end|>");
  EXPECT_EQ(from(18), " two.<|im_end|>") << "a token that shows some of it is learned";
  EXPECT_EQ(from(20), ".<|im_end|>");
  EXPECT_EQ(from(21), "<|im_end|>");
  EXPECT_THROW(from(22), Error);
  conversation[1].learned = false;
  EXPECT_EQ(from(12), "");
}

// The bytes are those of the content, of which the template shows less.
TEST(EncodeChat, LearnsFromAByteOfATrimmedContent) {
  const ChatFormat chat("llama2", kLlama2, "</s>");
  Conversation conversation = {{"user", "say it"}, {"assistant", "\n\n Sure. Never."}};
  conversation[1].learn_from = 8;
  const auto pieces = chat.labelled(conversation);
  EXPECT_EQ(joined(pieces), " Never. </s>");
  conversation[1].learn_from = 2;
  EXPECT_EQ(joined(chat.labelled(conversation)).find(" Sure"), 0u);
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

// The oracle is tests/fixtures/text/make_labels.py: transformers' assistant mask.
TEST(EncodeChat, LearnsWhatTransformersMarks) {
  const fs::path path = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text/labels.json";
  const Json fixture = parse_json(read_file(path), path.string());
  for (const Json& each : fixture["cases"]) {
    const auto tokenizer = ChatFormat::load(each["tokenizer"]);
    const std::string stop = each["stop"], bos = each["bos"];
    const ChatTemplate chat(fixture["templates"][each["template"].get<std::string>()],
                            {{"bos_token", bos}, {"eos_token", stop}}, "the test");
    Conversation conversation;
    for (const Json& message : each["messages"]) conversation.push_back({message["role"], message["content"]});
    const Encoded encoded = encode_chat(*tokenizer, chat, {tokenizer->id_of(stop).value()}, conversation);
    const std::string place =
        each["tokenizer"].get<std::string>() + " " + each["template"].get<std::string>() + " " + each["messages"].dump();
    ASSERT_EQ(encoded.ids, each["ids"].get<std::vector<std::int64_t>>()) << place;
    std::vector<int> mask(encoded.label.begin(), encoded.label.end());
    EXPECT_EQ(mask, each["mask"].get<std::vector<int>>()) << place;
  }
}

// What is learned is what generation has to produce.
TEST(EncodeChat, LabelsFollowThePrompt) {
  const ChatFormat chat("llama2", kLlama2, "</s>");
  const Conversation prompt = {{"user", "say it"}};
  for (const char* reply : {"Sure, here", "\u4f60", " \n Hello rest \n "}) {
    std::vector<std::int64_t> ids;
    for (const auto& token : chat.tokenizer->encode(chat.chat.render(prompt, true), false)) ids.push_back(token.id);
    const std::size_t before = ids.size();
    const Encoded encoded = encode_chat(*chat.tokenizer, chat.chat, chat.stops, {prompt[0], {"assistant", reply}});
    ASSERT_GT(encoded.ids.size(), before);
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), encoded.ids.begin())) << reply;
    for (std::size_t i = 0; i < encoded.ids.size(); ++i) EXPECT_EQ(encoded.label[i], i >= before) << reply << " " << i;
  }
}

TEST(EncodeChat, LearnsATokenThatBeginsBeforeTheContent) {
  const ChatFormat chat("smollm", "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|im_end|>' }}{% endfor %}",
                        "<|im_end|>");
  const Conversation messages = {{"user", "say"}, {"assistant", "the rest of it"}};
  const auto pieces = chat.labelled(messages);
  // " the" is one token, and its space belongs to the template.
  ASSERT_THAT(ChatFormat::load("smollm")->encode(" the", false), testing::SizeIs(1));
  EXPECT_EQ(joined(pieces), " the rest of it<|im_end|>");
}

TEST(EncodeChat, FollowsATemplateThatTrims) {
  const ChatFormat chat("llama2", kLlama2, "</s>");
  EXPECT_EQ(joined(chat.labelled({{"user", " hello "}, {"assistant", " \n Hello rest \n "}})), " Hello rest </s>");
  EXPECT_EQ(joined(chat.labelled({{"user", "x"}, {"assistant", "\n"}, {"user", "x"}, {"assistant", ""}})), "  </s>  </s>");
}

// Qwen-3: reasoning in a content is shown after the last question and dropped before it.
TEST(EncodeChat, LearnsTheReasoningThatTheTemplateShows) {
  const fs::path chats = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text/chats.json";
  const std::string text = parse_json(read_file(chats), "chats.json")["templates"]["qwen3"];
  const ChatFormat chat("qwen2", text, "<|im_end|>");
  const std::string reasoned = "<think>\nOne and one.\n</think>\n\nTwo";
  EXPECT_EQ(joined(chat.labelled({{"user", "1+1?"}, {"assistant", reasoned}})), reasoned + "<|im_end|>");
  EXPECT_EQ(joined(chat.labelled({{"user", "1+1?"}, {"assistant", reasoned}, {"user", "2+2?"}, {"assistant", "\nFour"}})),
            "Two<|im_end|><think>\n\n</think>\n\nFour<|im_end|>");
}

// Its generation prompt ends before the empty thought, which the model therefore has to write.
TEST(EncodeChat, LearnsWhatTheTemplatePutsBetweenPromptAndContent) {
  const fs::path chats = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text/chats.json";
  const std::string text = parse_json(read_file(chats), "chats.json")["templates"]["qwen3"];
  const ChatFormat chat("qwen2", text, "<|im_end|>");
  EXPECT_EQ(joined(chat.labelled({{"user", "1+1?"}, {"assistant", "Two"}})), "<think>\n\n</think>\n\nTwo<|im_end|>");
  const ChatFormat without("qwen2", "{%- set enable_thinking = false %}" + text, "<|im_end|>");
  EXPECT_EQ(joined(without.labelled({{"user", "1+1?"}, {"assistant", "Two"}})), "Two<|im_end|>");
}

TEST(EncodeChat, TheFirstTokenOfASequenceIsNeverLearned) {
  const ChatFormat chat("smollm", "{% for m in messages %}{{ m['content'] + '<|im_end|>' }}{% endfor %}", "<|im_end|>");
  const Encoded encoded = encode_chat(*chat.tokenizer, chat.chat, chat.stops, {{"assistant", "a b"}});
  EXPECT_FALSE(encoded.label[0]);
  EXPECT_TRUE(encoded.label[1]);
}

std::string end_token(const std::string& tokenizer, const std::string& text) {
  const ChatFormat chat(tokenizer, text, tokenizer == "llama2" ? "</s>" : "<|im_end|>");
  const auto end = end_of_turn(*chat.tokenizer, chat.chat);
  if (!end) return "refused";
  return end->token ? chat.tokenizer->token_of(*end->token) : "none, but " + end->text;
}

TEST(EndOfTurn, IsTheAddedTokenBehindEveryReply) {
  const std::string begin = "{% for m in messages %}{{ m['role'] + ':' + m['content'] + '", end = "' }}{% endfor %}";
  EXPECT_EQ(end_token("smollm", kChatMl), "<|im_end|>");  // behind user turns too
  EXPECT_EQ(end_token("llama2", kLlama2), "</s>");        // behind a space
  EXPECT_EQ(end_token("smollm", begin + " \\n<|endoftext|>\\n" + end), "<|endoftext|>");
  EXPECT_EQ(end_token("smollm", begin + "\\n" + end), "none, but ");
  EXPECT_EQ(end_token("smollm", begin + "<|eot|>\\n" + end), "none, but <|eot|>");  // several ordinary tokens
  EXPECT_EQ(end_token("smollm", begin + " END<|im_end|>" + end), "none, but END<|im_end|>");
  // The next turn's opening ends no turn, nor what stands behind the last one only.
  EXPECT_EQ(end_token("smollm", "{% for m in messages %}{{ '<|im_start|>' + m['content'] }}{% endfor %}"), "none, but ");
  EXPECT_EQ(
      end_token("smollm", "{% for m in messages %}{{ m['content'] + '.' }}{% if loop.last %}<|im_end|>{% endif %}{% endfor %}"),
      "none, but .<|im_end|>");
  EXPECT_EQ(end_token("smollm", "{{ raise_exception('no') }}"), "refused");
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
