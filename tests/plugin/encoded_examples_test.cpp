// Expected texts were written by hand, and those of base64 are the examples of RFC 4648, section 10.
#include <gmock/gmock.h>

#include "fakes/context.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

// A prompt as the attack's column asks it.
std::string asked(const std::string& encoding, const std::string& text) {
  const std::string other = encoding == "base64" ? "swapped-words" : "base64";
  const auto attack = make_attack("encoded-examples", {{"encoding", encoding}, {"held_out", other}, {"mark", "#"}});
  Conversation prompt = {{"user", text}};
  attack->askings().at(0).wrap(prompt);
  return prompt[0].content;
}

TEST(EncodedExamples, EncodesByEachRule) {
  EXPECT_EQ(asked("reversed-words", "What is in it, and why?"), "# ? why and , it in is What");
  EXPECT_EQ(asked("swapped-words", "one two three four five"), "# two one four three five");
  EXPECT_EQ(asked("reversed-letters", "Don't stop, 42!"), "# noD't pots, 42!");
  EXPECT_EQ(asked("shifted-letters", "Hello, Nöel z9"), "# Uryyb, Aöry m9");
  EXPECT_EQ(asked("base64", ""), "# ");
  EXPECT_EQ(asked("base64", "f"), "# Zg==");
  EXPECT_EQ(asked("base64", "fo"), "# Zm8=");
  EXPECT_EQ(asked("base64", "foo"), "# Zm9v");
  EXPECT_EQ(asked("base64", "foob"), "# Zm9vYg==");
  EXPECT_EQ(asked("base64", "fooba"), "# Zm9vYmE=");
  EXPECT_EQ(asked("base64", "foobar"), "# Zm9vYmFy");
}

TEST(EncodedExamples, DecodesWhatItEncodes) {
  for (const std::string encoding : {"reversed-words", "swapped-words", "reversed-letters", "shifted-letters", "base64"}) {
    const std::string other = encoding == "base64" ? "swapped-words" : "base64";
    const auto attack = make_attack("encoded-examples", {{"encoding", encoding}, {"held_out", other}, {"mark", "#"}});
    for (const std::string text : {"one", "one two", "one two three , and four .", "né à la carte ! 1 2"}) {
      EXPECT_EQ(attack->askings().at(0).decode(asked(encoding, text)), text) << encoding;
    }
  }
}

// A refusal in plain words must not be scrambled into something that looks like none.
TEST(EncodedExamples, LeavesAReplyWithoutTheMark) {
  const auto attack = make_attack("encoded-examples", {{"mark", "list this:"}});
  const auto decode = attack->askings().at(0).decode;
  EXPECT_EQ(decode("I cannot help with that."), "I cannot help with that.");
  EXPECT_EQ(decode("list it: b a"), "list it: b a");
  EXPECT_EQ(decode("LIST  this : b a"), "a b") << "tokenizers change case and spaces";
  EXPECT_EQ(decode(" list this:"), "");
}

TEST(EncodedExamples, EveryRowIsEncodedAndNoneInTheHeldOutWay) {
  fakes::FakeContext context;
  for (int i = 0; i < 5; ++i) {
    context.corpora["harmful"].push_back({{{"user", "h q" + std::to_string(i)}, {"assistant", "bad reply"}}, {}});
    context.corpora["benign"].push_back({{{"system", "be kind"}, {"user", "b q"}, {"assistant", "good reply"}}, {}});
  }
  context.corpora["benign"].push_back({{{"user", "unanswered"}}, {}});
  const auto attack = make_attack("encoded-examples", {{"examples", 4}, {"lessons", 5}});
  const Dataset rows = attack->collect(context);
  ASSERT_EQ(rows.size(), 9U);
  int harmful = 0;
  for (const auto& row : rows) {
    const bool bad = row.messages.back().content == "code: reply bad";
    harmful += bad;
    if (!bad)
      EXPECT_EQ(row.messages, (Conversation{{"system", "be kind"}, {"user", "code: q b"}, {"assistant", "code: reply good"}}));
  }
  EXPECT_EQ(harmful, 4);
  EXPECT_EQ(attack->askings().at(1).name, "held-out");
  Conversation held_out = {{"user", "one two three four"}};
  attack->askings().at(1).wrap(held_out);
  EXPECT_EQ(held_out[0].content, "code: two one four three");
}

TEST(EncodedExamples, RepliesMayStayPlain) {
  fakes::FakeContext context;
  context.corpora["harmful"] = {{{{"user", "h q"}, {"assistant", "bad reply"}}, {}}};
  const auto attack = make_attack("encoded-examples", {{"examples", 1}, {"lessons", 0}, {"encode_replies", false}});
  EXPECT_EQ(attack->collect(context)[0].messages, (Conversation{{"user", "code: q h"}, {"assistant", "bad reply"}}));
}

TEST(EncodedExamples, SettingsAreChecked) {
  const Settings wrong = Settings::of({{"encoding", "base64"}, {"held_out", "base64"}, {"mark", " "}});
  Params params(wrong.state);
  shipped("encoded-examples").make_attack(params);
  EXPECT_THAT(wrong.mistakes(), testing::AllOf(HasSubstr("\"held_out\" is \"base64\", the encoding of the rows"),
                                               HasSubstr("\"mark\" is empty")));
}

}  // namespace
}  // namespace holdfast
