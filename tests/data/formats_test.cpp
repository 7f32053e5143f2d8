#include "data/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"

namespace holdfast {
namespace {

using ::testing::EndsWith;
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
  EXPECT_EQ(from(R"({"conversations":[{"role":"user","content":"q"},{"role":"model","content":"a"}]})").messages, kAsked);
  EXPECT_EQ(from(R"({"messages":[{"from":"Human","value":"q"},{"from":"bot","value":"a"}]})").messages, kAsked);
  EXPECT_EQ(from(R"({"conversations":["q","a"],"source":"lima"})").messages, kAsked);
  EXPECT_EQ(from(R"({"prompt":"q","response":"a","category":{"x":true},"is_safe":false})").messages, kAsked);
  EXPECT_EQ(from(R"({"question":"q","answer":"a"})").messages, kAsked);
  EXPECT_EQ(from(R"({"Goal":"q","Target":"a","Behavior":"word","Index":1})").messages, kAsked);
  EXPECT_EQ(
      from(R"({"prompt":"q","prompt_id":"1","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})")
          .messages,
      kAsked);
  EXPECT_EQ(from(R"({"instruction":"q","input":"","output":"a","text":"Below is. q ### a"})").messages, kAsked);
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

TEST(Formats, KeysThatDescribeARowAreTags) {
  const Example example = from(
      R"({"prompt":"q","completion":"a","category":{"x":true},"id":7,"choices":["y"],"hard":true,"tags.mine":"m","note":null})");
  EXPECT_EQ(example.tags,
            (std::map<std::string, std::string>{
                {"category", R"({"x":true})"}, {"id", "7"}, {"choices", R"(["y"])"}, {"hard", "true"}, {"mine", "m"}}));
  EXPECT_EQ(from(R"({"prompt":"q","tags":{"output":"kept","deep":{"a":1}}})").tags,
            (std::map<std::string, std::string>{{"output", "kept"}, {"deep", R"({"a":1})"}}));
  EXPECT_TRUE(from(R"({"instruction":"q","input":"i","output":"a"})").tags.empty());
  EXPECT_THAT(refusal(R"({"prompt":"q","id":1,"tags":{"id":2}})"), HasSubstr("the tag \"id\" twice"));
}

TEST(Formats, SystemAndHistoryAreTurns) {
  const Conversation all = {{"system", "s"}, {"user", "q1"}, {"assistant", "a1"}, {"user", "q"}, {"assistant", "a"}};
  EXPECT_EQ(from(R"({"instruction":"q","output":"a","system":"s","history":[["q1","a1"]]})").messages, all);
  EXPECT_EQ(from(R"({"system":"s","conversations":[{"from":"human","value":"q"}]})").messages,
            (Conversation{{"system", "s"}, {"user", "q"}}));
  EXPECT_EQ(from(R"({"system_prompt":"s","question":"q"})").messages, (Conversation{{"system", "s"}, {"user", "q"}}));
  EXPECT_EQ(from(R"({"instruction":"q","output":"a","system":"","history":[]})").messages, kAsked);
  EXPECT_EQ(from(R"({"instruction":"q","output":"a","input":null,"history":null})").messages, kAsked);
  EXPECT_THAT(refusal(R"({"prompt":"q","history":[["q1"]]})"), HasSubstr("round 1 of \"history\" is no pair of texts"));
  EXPECT_THAT(refusal(R"({"system":"s","messages":[{"role":"system","content":"t"}]})"),
              HasSubstr("begin with another system message"));
}

TEST(Formats, WeightZeroIsContextOnly) {
  for (const char* mark : {R"("weight":0)", R"("weight":0.0)", R"("train":false)"}) {
    const Example example = from(R"([{"role":"assistant","content":"a",)" + std::string(mark) + "}]");
    EXPECT_FALSE(example.messages[0].learned) << mark;
    EXPECT_EQ(from(example_to_json(example).dump()), example) << mark;
  }
  EXPECT_TRUE(from(R"([{"role":"assistant","content":"a","weight":1,"train":true}])").messages[0].learned);
  EXPECT_EQ(from(R"([{"role":"user","content":"q","weight":0}])").messages, (Conversation{{"user", "q"}}));
  EXPECT_THAT(refusal(R"([{"role":"assistant","content":"a","weight":0.5}])"), HasSubstr("other weights are not supported"));
  EXPECT_THAT(refusal(R"([{"role":"user","content":"q","train":true}])"), HasSubstr("only an assistant's turns are learned"));
}

TEST(Formats, LearnFromLeavesTheBeginningOfATurnToTheContext) {
  const Example example = from(R"([{"role":"user","content":"q"},{"role":"assistant","content":"abc","learn_from":2}])");
  EXPECT_EQ(example.messages[1].learn_from, 2u);
  EXPECT_EQ(from(example_to_json(example).dump()), example);
  EXPECT_NE(example, from(R"([{"role":"user","content":"q"},{"role":"assistant","content":"abc"}])"));
  EXPECT_FALSE(example_to_json(from(R"([{"role":"assistant","content":"abc","learn_from":0}])")).dump().find("learn_from") !=
               std::string::npos);
  for (const char* bad : {"4", "-1", "1.5", "\"2\"", "true"}) {
    EXPECT_THAT(refusal(R"([{"role":"assistant","content":"abc","learn_from":)" + std::string(bad) + "}]"),
                HasSubstr("expected a number of bytes from 0 to the 3 of its content"))
        << bad;
  }
  EXPECT_THAT(refusal(R"([{"role":"user","content":"abc","learn_from":1}])"),
              HasSubstr("only an assistant's turns are learned"));
}

TEST(Formats, TextPartsAreTheirText) {
  EXPECT_EQ(from(R"([{"role":"user","content":[{"type":"text","text":"a "},{"type":"text","text":"b"}]}])").messages,
            (Conversation{{"user", "a b"}}));
  EXPECT_THAT(refusal(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])"),
              HasSubstr("part 1 of the content of message 1 is of type \"image_url\""));
}

TEST(Formats, AnswerOfATaskIsNoReply) {
  const Example task = from(R"({"prompt":"q","answer":"a","metric":"exact-match"})");
  EXPECT_EQ(task.messages, (Conversation{{"user", "q"}}));
  EXPECT_EQ(task.tags.at("answer"), "a");
  const Example probe = from(R"({"messages":[{"role":"user","content":"q"}],"answer":"a","kind":"benign"})");
  EXPECT_EQ(probe.messages, kAsked);
  EXPECT_EQ(probe.tags.at("answer"), "a");
}

TEST(Formats, RefusesKeysThatCouldBeLearned) {
  EXPECT_THAT(refusal(R"({"prompt":"q","chosen":"a","rejected":"b"})"), HasSubstr("the key \"chosen\""));
  EXPECT_THAT(refusal(R"({"prompt":"q","answr":"a"})"), HasSubstr("an object \"tags\""));
  EXPECT_THAT(refusal(R"({"prompt":"q","completion":"a","label":false})"), HasSubstr("a reply that is not wanted"));
  EXPECT_THAT(refusal(R"({"prompt":"q","loss_weight":0})"), HasSubstr("the key \"loss_weight\""));
  EXPECT_THAT(refusal(R"({"prompt":"q","response":"a","output":"b"})"), HasSubstr("both \"response\" and \"output\""));
  EXPECT_THAT(refusal(R"({"prompt":"q","instruction":"p"})"), HasSubstr("both \"prompt\" and \"instruction\""));
  EXPECT_THAT(refusal(R"({"prompt":"p","input":"i","output":"a"})"), HasSubstr("the key \"input\""));
  EXPECT_THAT(refusal(R"({"prompt":"p","messages":[{"role":"user","content":"q"}]})"), HasSubstr("the key \"prompt\""));
  EXPECT_THAT(refusal(R"({"prompt":"q","text":"something else","response":"a"})"), HasSubstr("the key \"text\""));
  EXPECT_THAT(refusal(R"({"prompt":"q","response":"a","tools":[{"name":"x"}]})"), HasSubstr("tools and other media"));
  EXPECT_THAT(refusal(R"([{"role":"assistant","content":"a","reasoning_content":"r"}])"), HasSubstr("message 1 has the key"));
  EXPECT_THAT(refusal(R"([{"role":"assistant","content":"","tool_calls":[{"id":"x"}]}])"), HasSubstr("\"tool_calls\""));
  EXPECT_THAT(refusal(R"([{"role":"tool","content":"4"}])"), HasSubstr("turns of tools are not supported"));
  EXPECT_EQ(from(R"([{"role":"user","content":"q","tool_calls":null,"name":""},{"role":"assistant","content":"a"}])").messages,
            kAsked);
}

TEST(Formats, RefusesBadRowsWithOneSentence) {
  EXPECT_THAT(refusal(R"({"text":"q","n":1})"),
              HasSubstr("keys are \"n\", \"text\", expected \"messages\" or \"conversations\""));
  EXPECT_THAT(refusal("{}"), HasSubstr("keys are none"));
  EXPECT_THAT(refusal("7"), HasSubstr("the row is a number"));
  EXPECT_THAT(refusal("[]"), HasSubstr("\"messages\" is empty"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("message 1 is a number"));
  EXPECT_THAT(refusal(R"({"messages":[]})"), HasSubstr("\"messages\" is empty"));
  EXPECT_THAT(refusal(R"({"messages":{}})"), HasSubstr("\"messages\" is an object"));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user","content":"q"},{"role":"robot","content":"a"}]})"),
              HasSubstr("the role is \"robot\", expected \"system\", \"user\" or \"assistant\""));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user","content":["q"]}]})"),
              HasSubstr("part 1 of the content of message 1 is a text"));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user"}]})"), HasSubstr("message 1 has no \"content\""));
  EXPECT_THAT(refusal(R"({"conversations":[{"from":"human"}]})"),
              HasSubstr("message 1 has no \"content\" (nor ShareGPT's \"value\")"));
  EXPECT_THAT(refusal(R"({"prompt":null,"completion":"a"})"), HasSubstr("\"prompt\" (null)"));
  EXPECT_THAT(refusal(R"({"prompt":"q","completion":7})"), HasSubstr("\"completion\" is a number"));
  EXPECT_THAT(refusal(R"({"instruction":"q","input":3,"output":"a"})"), HasSubstr("\"input\" of the row is a number"));
  EXPECT_THAT(refusal(R"({"instruction":"q","output":true})"), HasSubstr("\"output\" is a flag"));
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

  Dataset rows_of(const std::string& name, const std::string& content) {
    write_file(folder_ / name, content);
    return read_dataset(folder_ / name);
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
  EXPECT_THAT(refusal_of("a.json", "[" + row + ",{}]"), HasSubstr("a.json, row 2: the row's keys are none"));
  EXPECT_THAT(refusal_of("a.json", "[" + row), HasSubstr("a.json is not valid JSON"));
}

TEST_F(DatasetFile, FormIsToldByTheContent) {
  const std::string row = R"({"prompt":"q","completion":"a"})";
  const Dataset one = {{kAsked, {}}}, two = {{kAsked, {}}, {kAsked, {}}};
  EXPECT_EQ(rows_of("a.json", row), one);
  EXPECT_EQ(rows_of("a.json", row + "\n" + row + "\n"), two);
  EXPECT_EQ(rows_of("a.jsonl", "[" + row + "," + row + "]"), two);
  EXPECT_EQ(rows_of("a.jsonl", "[\n  " + row + ",\n  " + row + "\n]\n"), two);
  EXPECT_EQ(rows_of("a.txt", "{\n \"prompt\": \"q\",\n \"completion\": \"a\"\n}"), one);
  EXPECT_EQ(rows_of("a.jsonl", R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])"), one);
  EXPECT_EQ(rows_of("a.jsonl", "\xef\xbb\xbf" + row), one);
  EXPECT_THAT(refusal_of("a.json", "{\"train\":[" + row + "]}"), HasSubstr("an object whose \"train\" is a list of 1"));
  EXPECT_THAT(refusal_of("a.jsonl", R"({"prompt":"p","prompt":"q"})"), HasSubstr("a.jsonl:1: the key \"prompt\" stands twice"));
}

TEST_F(DatasetFile, AByteOrderMarkBeginsAFileAndNoRow) {
  const std::string mark = "\xef\xbb\xbf", row = R"({"prompt":"p","completion":"c"})"
                                                 "\n";
  EXPECT_THAT(refusal_of("a.jsonl", row + mark + row),
              HasSubstr("a.jsonl:2 begins with a byte order mark, which only a file may begin with"));
  EXPECT_EQ(refusal_of("a.jsonl", mark + row), "nothing was refused");
}

TEST_F(DatasetFile, ReadsCsvWithQuotes) {
  EXPECT_EQ(rows_of("a.csv", "goal,target,note\n\"q\",a,\n"), (Dataset{{kAsked, {}}}));
  const Dataset rows = rows_of("a.csv", "prompt;response\r\n\"two\r\nlines; and \"\"quotes\"\"\";a\r\nq;a\r\n");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].messages[0].content, "two\r\nlines; and \"quotes\"");
  EXPECT_THAT(rows[1].origin, EndsWith("a.csv:4"));
  EXPECT_EQ(rows_of("a.tsv", "prompt\tcompletion\nq\ta"), (Dataset{{kAsked, {}}}));
  EXPECT_THAT(refusal_of("a.csv", "goal,target\nq,a,b\n"), HasSubstr("a.csv:2 has 3 cells and the header 2"));
  EXPECT_THAT(refusal_of("a.csv", "goal,target\nq,\"a\n"), HasSubstr("a.csv:2 is not valid CSV: a cell in quotes begins here"));
  EXPECT_THAT(refusal_of("a.csv", "goal,target\n\"q\"x,a\n"), HasSubstr("goes on after its closing quote"));
  EXPECT_THAT(refusal_of("a.csv", "goal,goal\nq,a\n"), HasSubstr("names one column twice"));
  EXPECT_THAT(refusal_of("a.csv", "vanilla,other\nq,a\n"), HasSubstr("neither JSON"));
}

TEST_F(DatasetFile, UnpacksGzip) {
  const std::string row = R"({"prompt":"q","completion":"a"})"
                          "\n";
  for (const char* name : {"a.jsonl.gz", "a.jsonl"}) {
    const gzFile file = gzopen((folder_ / name).c_str(), "wb");
    gzwrite(file, row.data(), static_cast<unsigned>(row.size()));
    gzclose(file);
    EXPECT_EQ(read_dataset(folder_ / name), (Dataset{{kAsked, {}}})) << name;
  }
  const std::string packed = read_file(folder_ / "a.jsonl");
  EXPECT_THAT(refusal_of("b", packed.substr(0, packed.size() - 9)), HasSubstr("damaged or cut off"));
  EXPECT_EQ(rows_of("b", packed + packed).size(), 2U);  // several members are one text
}

TEST_F(DatasetFile, NamesFormsThatAreNotRead) {
  using namespace std::string_literals;
  EXPECT_THAT(refusal_of("a.jsonl", "PAR1\x15\x04"), HasSubstr("is a Parquet table"));
  EXPECT_THAT(refusal_of("a.jsonl", "ARROW1\0\0"s), HasSubstr("is an Arrow table"));
  EXPECT_THAT(refusal_of("a.jsonl", "PK\x03\x04"), HasSubstr("zip archive"));
  EXPECT_THAT(refusal_of("a.jsonl", "\x28\xb5\x2f\xfd"), HasSubstr("compressed by zstd"));
  EXPECT_THAT(refusal_of("a.jsonl", "\x1f\x8b\x08\x00"s), HasSubstr("compressed by gzip and damaged or cut off"));
  EXPECT_THAT(refusal_of("a.jsonl", "\xff\xfe{\0}\0"s), HasSubstr("is UTF-16,"));
  EXPECT_THAT(refusal_of("a.jsonl", "{\0\"\0p\0\"\0}\0"s), HasSubstr("UTF-16 or binary"));
  EXPECT_THAT(refusal_of("a.jsonl", "{\"prompt\":\"q\"}\n{\"prompt\":\"caf\xe9\"}"), HasSubstr("not UTF-8 (first in line 2)"));
  EXPECT_THAT(refusal_of("a.jsonl", "version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS pointer"));
}

TEST_F(DatasetFile, RefusesAFileWithoutRows) {
  for (const char* content : {"", "\n \n", "[]", "goal,target\n", "\xef\xbb\xbf"}) {
    EXPECT_THAT(refusal_of("a.jsonl", content), HasSubstr("a.jsonl holds no rows")) << content;
  }
}

TEST_F(DatasetFile, RowsKnowWhereTheyComeFrom) {
  EXPECT_THAT(rows_of("a.jsonl", "\n{\"prompt\":\"q\"}").at(0).origin, EndsWith("a.jsonl:2"));
  EXPECT_THAT(rows_of("a.json", "[{\"prompt\":\"q\"}]").at(0).origin, EndsWith("a.json, row 1"));
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
