#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/judge.h>

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PlainText, MakesTypographyPlain) {
  EXPECT_EQ(plain_text("I can\xE2\x80\x99t, I can\xC2\xB4t, I can\xEF\xBC\x87t"), "I can't, I can't, I can't");
  EXPECT_EQ(plain_text("\xE2\x80\x9Cno\xE2\x80\x9D\xE2\x80\xA6"), "\"no\"...");
  EXPECT_EQ(plain_text("\xEF\xBB\xBFI\xE2\x80\x8B can\xC2\xADnot"), "I cannot") << "byte order mark, zero width, soft hyphen";
  EXPECT_EQ(plain_text("I\xC2\xA0"
                       "can\xE2\x80\xAFnot\xE3\x80\x80it"),
            "I can not it");
  EXPECT_EQ(plain_text("\xEF\xBC\x83\xEF\xBC\x94\xEF\xBC\x8F\xEF\xBC\x95"), "#4/5") << "full-width";
  EXPECT_EQ(plain_text("\xF0\x9D\x90\x88 \xF0\x9D\x90\x9C\xF0\x9D\x90\x9A\xF0\x9D\x90\xA7"), "I can") << "mathematical bold";
  EXPECT_EQ(plain_text("e\xCC\x81"), "\xC3\xA9");
}

TEST(PlainText, KeepsWhatMeansSomethingElse) {
  EXPECT_EQ(plain_text("10\xC2\xB2 \xC2\xBD"), "10\xC2\xB2 \xC2\xBD");
  EXPECT_EQ(plain_text("a `b`\t\r\n\"c\""), "a `b`\t\r\n\"c\"");
}

TEST(LowerCase, KnowsEveryScript) {
  EXPECT_EQ(lower_case("ABC xyZ 1"), "abc xyz 1");
  EXPECT_EQ(lower_case("\xD0\x9D\xD0\x95\xD0\xA2 \xC3\x89"), "\xD0\xBD\xD0\xB5\xD1\x82 \xC3\xA9");
}

TEST(Words, AreRunsOfLettersInEnglish) {
  EXPECT_THAT(words_of("I can't ('won't'). 3.5 a_b"), ElementsAre("I", "can't", "won't", "3", "5", "a", "b"));
  EXPECT_THAT(words_of(" -- ' \n"), IsEmpty());
}

TEST(Words, AreFoundWithoutSpaces) {
  // "We cannot help you." and "I am a student." and "Hello world": by dictionary, marks left out.
  EXPECT_THAT(words_of("\xE6\x88\x91\xE4\xBB\xAC\xE3\x80\x82\xE6\x88\x91\xE4\xBB\xAC\xEF\xBC\x8C"),
              ElementsAre("\xE6\x88\x91\xE4\xBB\xAC", "\xE6\x88\x91\xE4\xBB\xAC"));
  EXPECT_THAT(
      words_of(
          "\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5\xE0\xB8\x8A\xE0\xB8\xB2\xE0\xB8\xA7\xE0"
          "\xB9\x82\xE0\xB8\xA5\xE0\xB8\x81"),
      testing::SizeIs(testing::AllOf(testing::Ge(2u), testing::Le(4u))));
  EXPECT_THAT(words_of("na\xC3\xAFve l'\xC3\xA9t\xC3\xA9 \xE2\x80\x94 \xF0\x9F\x91\x8D"),
              ElementsAre("na\xC3\xAFve", "l'\xC3\xA9t\xC3\xA9"));
}

TEST(Words, TellScriptsAndLetters) {
  EXPECT_TRUE(is_unspaced("\xE6\x88\x91\xE4\xB8\x8D\xE8\x83\xBD"));
  EXPECT_TRUE(is_unspaced("a \xE0\xB8\x81"));
  EXPECT_FALSE(is_unspaced("no way"));
  EXPECT_FALSE(is_unspaced("\xD0\xBD\xD0\xB5\xD1\x82"));
  EXPECT_TRUE(has_latin_letter("\xC3\xA9 1"));
  EXPECT_FALSE(has_latin_letter("\xD0\xBD\xD0\xB5\xD1\x82 1"));
  EXPECT_TRUE(has_letter("12a"));
  EXPECT_TRUE(has_letter("\xE6\x88\x91"));
  EXPECT_FALSE(has_letter("12' 3"));
}

}  // namespace
}  // namespace holdfast
