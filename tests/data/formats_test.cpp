#include "data/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <unistd.h>

#include "base/file.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Example from(const std::string& text) { return example_from_json(Json::parse(text), "d.jsonl:3"); }

std::string refusal(const std::string& text) {
  try {
    from(text);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), StartsWith("d.jsonl:3: "));
    return error.what();
  }
  return "nothing was refused";
}

const Conversation kAsked = {{"user", "q"}, {"assistant", "a"}};

TEST(Formats, RecognisesRowsByTheirKeys) {
  EXPECT_EQ(from(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})").messages, kAsked);
  EXPECT_EQ(from(R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])").messages, kAsked);
  EXPECT_EQ(from(R"({"prompt":"q","completion":"a"})").messages, kAsked);
  EXPECT_EQ(from(R"({"instruction":"q","output":"a"})").messages, kAsked);
  EXPECT_EQ(from(R"({"instruction":"q","input":"","output":"a"})").messages, kAsked);
  EXPECT_EQ(from(R"({"instruction":"q","context":"","response":"a"})").messages, kAsked);
  EXPECT_EQ(from(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})").messages, kAsked);
  EXPECT_EQ(from(R"({"conversations":[{"from":"user","value":"q"},{"from":"assistant","value":"a"}]})").messages, kAsked);
}

TEST(Formats, JoinsListsOfPromptAndCompletion) {
  const Example example = from(R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"q"}],
                                   "completion":[{"role":"assistant","content":"a"}]})");
  EXPECT_EQ(example.messages, (Conversation{{"system", "s"}, {"user", "q"}, {"assistant", "a"}}));
}

TEST(Formats, PutsTheInputUnderTheInstruction) {
  EXPECT_EQ(from(R"({"instruction":"do","input":"this","output":"a"})").messages.front().content, "do\n\nthis");
  EXPECT_EQ(from(R"({"instruction":"do","context":"this","response":"a"})").messages.front().content, "do\n\nthis");
}

TEST(Formats, ReadsProbes) {
  EXPECT_EQ(from(R"({"prompt":"q"})").messages, (Conversation{{"user", "q"}}));
  EXPECT_EQ(from(R"({"instruction":"q"})").messages, (Conversation{{"user", "q"}}));
}

TEST(Formats, OtherMembersAreTags) {
  const Example example = from(
      R"({"prompt":"q","completion":"a","category":"x","id":7,"list":["y"],"hard":true,"output":"kept","deep":{"a":1},"mixed":[1,"b"]})");
  EXPECT_EQ(example.tags, (std::map<std::string, std::string>{
                              {"category", "x"}, {"id", "7"}, {"list", R"(["y"])"}, {"hard", "true"}, {"output", "kept"}}));
  EXPECT_TRUE(from(R"({"instruction":"q","input":"i","output":"a"})").tags.empty());
}

TEST(Formats, RefusesBadRowsWithOneSentence) {
  EXPECT_THAT(refusal(R"({"text":"q","n":1})"),
              HasSubstr("keys are \"n\", \"text\", expected \"messages\", \"conversations\""));
  EXPECT_THAT(refusal("{}"), HasSubstr("keys are none"));
  EXPECT_THAT(refusal("7"), HasSubstr("the row is a number"));
  EXPECT_THAT(refusal("[]"), HasSubstr("\"messages\" is empty"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("message 1 is a number"));
  EXPECT_THAT(refusal(R"({"messages":[]})"), HasSubstr("\"messages\" is empty"));
  EXPECT_THAT(refusal(R"({"messages":{}})"), HasSubstr("\"messages\" is an object"));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user","content":"q"},{"role":"bot","content":"a"}]})"),
              HasSubstr("the role is \"bot\", expected \"system\", \"user\" or \"assistant\""));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user","content":["q"]}]})"), HasSubstr("\"content\" of message 1 is a list"));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user"}]})"), HasSubstr("message 1 has no \"content\""));
  EXPECT_THAT(refusal(R"({"conversations":[{"from":"human"}]})"), HasSubstr("message 1 has no \"value\""));
  EXPECT_THAT(refusal(R"({"prompt":null,"completion":"a"})"), HasSubstr("\"prompt\" is null"));
  EXPECT_THAT(refusal(R"({"prompt":"q","completion":7})"), HasSubstr("\"completion\" is a number"));
  EXPECT_THAT(refusal(R"({"instruction":"q","input":3,"output":"a"})"), HasSubstr("\"input\" of the row is a number"));
  EXPECT_THAT(refusal(R"({"instruction":"q","output":true})"), HasSubstr("\"output\" of the row is a flag"));
}

class DatasetFile : public ::testing::Test {
 protected:
  DatasetFile() { fs::create_directories(folder_); }
  ~DatasetFile() override { fs::remove_all(folder_); }

  std::string refusal_of(const std::string& name, const std::string& content) {
    write_file(folder_ / name, content);
    try {
      read_dataset(folder_ / name);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was refused";
  }

  fs::path folder_ = fs::temp_directory_path() / ("holdfast_formats_" + std::to_string(::getpid()));
};

TEST_F(DatasetFile, ReadsLinesAndArrays) {
  const std::string row = R"({"prompt":"q","completion":"a"})";
  write_file(folder_ / "a.jsonl", row + "\r\n\n" + row);
  write_file(folder_ / "a.json", "[" + row + ",\n" + row + "]");
  EXPECT_EQ(read_dataset(folder_ / "a.jsonl"), (Dataset{{kAsked, {}}, {kAsked, {}}}));
  EXPECT_EQ(read_dataset(folder_ / "a.json"), (Dataset{{kAsked, {}}, {kAsked, {}}}));
}

TEST_F(DatasetFile, NamesFileAndLine) {
  const std::string row = R"({"prompt":"q"})";
  EXPECT_THAT(refusal_of("a.jsonl", row + "\n\n{\"prompt\":1}\n"), HasSubstr("a.jsonl:3: \"prompt\" is a number"));
  EXPECT_THAT(refusal_of("a.jsonl", row + "\n{\"prompt\":"), HasSubstr("a.jsonl:2 is not valid JSON"));
  EXPECT_THAT(refusal_of("a.json", "[" + row + ",{}]"), HasSubstr("a.json:2: the row's keys are none"));
  EXPECT_THAT(refusal_of("a.json", row), HasSubstr("a.json holds an object, expected a list of rows"));
  EXPECT_THAT(refusal_of("a.json", "[" + row), HasSubstr("a.json is not valid JSON"));
}

TEST_F(DatasetFile, WrittenRowsReadBackUnchanged) {
  const Dataset dataset = {
      {{{"system", "s"}, {"user", "\u00fc\n\"q\""}, {"assistant", ""}}, {{"category", "x"}, {"prompt", "tag"}}},
      {{{"user", "probe"}}, {}}};
  std::string lines;
  for (const auto& example : dataset) lines += example_to_json(example).dump() + "\n";
  write_file(folder_ / "a.jsonl", lines);
  EXPECT_EQ(read_dataset(folder_ / "a.jsonl"), dataset);
}

TEST(Conversations, LastContentLooksFromTheEnd) {
  const Conversation conversation = {{"user", "1"}, {"assistant", "2"}, {"user", "3"}};
  EXPECT_EQ(last_content(conversation, "user"), "3");
  EXPECT_EQ(last_content(conversation, "assistant"), "2");
  EXPECT_EQ(last_content(conversation, "system"), "");
}

}  // namespace
}  // namespace holdfast
