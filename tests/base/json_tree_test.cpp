#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <holdfast/json.h>

#include <cmath>

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(JsonTree, ReadsAndWritesEachKindOfValue) {
  const std::string text = R"({"a":[true,1,-2.5,"x"],"b":{},"c":null})";
  EXPECT_EQ(json_text(read_json(text)), text);
  const JsonTree tree = read_json(text);
  const auto& object = std::get<JsonTree::Object>(tree.value);
  const auto& list = std::get<JsonTree::List>(object.at("a").value);
  EXPECT_EQ(std::get<bool>(list[0].value), true);
  EXPECT_EQ(std::get<double>(list[2].value), -2.5);
  EXPECT_EQ(std::get<std::string>(list[3].value), "x");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(object.at("c").value));
}

TEST(JsonTree, WritesOneLineOfAsciiWhateverTheText) {
  EXPECT_EQ(json_text({std::string("\xC3\xA4\n\xFF")}), R"("\u00e4\n\ufffd")");
  EXPECT_EQ(json_text({std::nan("")}), "null");
  EXPECT_EQ(json_text({9007199254740991.0}), "9007199254740991");
}

TEST(JsonTree, SaysWhatIsWrong) {
  EXPECT_THAT([] { read_json("{\"a\": tru}"); }, ThrowsMessage<Error>(HasSubstr("no JSON at character")));
  EXPECT_THAT([] { read_json(""); }, ThrowsMessage<Error>(HasSubstr("no JSON")));
  EXPECT_THAT([] { read_json("1 2"); }, ThrowsMessage<Error>(HasSubstr("no JSON at character 3")));
  EXPECT_NO_THROW(read_json(std::string(100, '[') + std::string(100, ']')));
  EXPECT_THAT([] { read_json(std::string(102, '[') + std::string(102, ']')); }, ThrowsMessage<Error>(HasSubstr("100 deep")));
}

}  // namespace
}  // namespace holdfast
