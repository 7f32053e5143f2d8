#include "model/gguf_parts.h"

#include <ATen/ATen.h>

#include "model/gguf_builder.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class GgufParts : public WeightFiles {
 protected:
  // Part `number` of `count`, with one tensor.
  fs::path part(int number, int count, const std::string& tensor, float value, std::uint32_t tensors = 2) const {
    const auto pair = [](const char* key, std::uint32_t number) { return pair_of(key, kUint32Value, bytes_of(number)); };
    const std::string bytes =
        file_of({{pair("split.no", static_cast<std::uint32_t>(number - 1)),
                  pair("split.count", static_cast<std::uint32_t>(count)), pair("split.tensors.count", tensors)},
                 {tensor_info(tensor, {1}, kF32, 0)},
                 bytes_of(value)});
    return write("m-0000" + std::to_string(number) + "-of-0000" + std::to_string(count) + ".gguf", bytes);
  }
};

TEST_F(GgufParts, OpenFromTheFirst) {
  const fs::path first = part(1, 2, "a", 1), second = part(2, 2, "b", 2);
  const GgufFile model = read_gguf(first);
  EXPECT_EQ(model.tensor_names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(model.tensor("a").item<float>(), 1);
  EXPECT_EQ(model.tensor("b").item<float>(), 2);
  EXPECT_EQ(gguf_files(first), (std::vector<fs::path>{first, second}));
  EXPECT_EQ(gguf_files("any.gguf"), std::vector<fs::path>{"any.gguf"});
}

TEST_F(GgufParts, ThatAreNoModelAreRefused) {
  const fs::path first = part(1, 2, "a", 1);
  EXPECT_THAT(refusal([&] { read_gguf(first); }),
              HasSubstr("the first of 2 parts of a model, and m-00002-of-00002.gguf is not"));
  const fs::path second = part(2, 2, "a", 2);
  EXPECT_THAT(refusal([&] { read_gguf(second); }),
              HasSubstr("is part 2 of 2 of a model: name the first part, " + first.string()));
  EXPECT_THAT(refusal([&] { read_gguf(first); }), HasSubstr("repeats tensor \"a\" of another part"));
  part(2, 2, "b", 2);
  part(1, 2, "a", 1, 3);
  EXPECT_THAT(refusal([&] { read_gguf(first); }), HasSubstr("its 2 parts hold 2 tensors, expected the 3 of"));
  fs::copy_file(first, second, fs::copy_options::overwrite_existing);
  EXPECT_THAT(refusal([&] { read_gguf(first); }), HasSubstr("says that it is part 1 of 2, expected part 2 of 2"));
  fs::rename(first, folder_ / "renamed.gguf");
  EXPECT_THAT(refusal([&] { read_gguf(folder_ / "renamed.gguf"); }),
              HasSubstr("says that it is part 1 of 2, expected part 1 of 1"));
}

}  // namespace
}  // namespace holdfast
