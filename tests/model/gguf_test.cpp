#include "model/gguf.h"

#include <ATen/ATen.h>

#include "model/gguf_builder.h"
#include "model/hostile_file.h"
#include "model/mapped_tensor.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kQ8 = 8, kI32 = 26;
constexpr std::uint32_t kBoolValue = 7, kStringValue = 8, kArrayValue = 9;

class Gguf : public WeightFiles {
 protected:
  std::string refused(const std::string& bytes) const {
    const fs::path path = write("lie.gguf", bytes);
    const std::string message = refusal([&] { GgufFile file(path); });
    EXPECT_THAT(message, HasSubstr("lie.gguf: "));
    return message;
  }
  std::string refused_pair(const std::string& pair) const { return refused(file_of({{pair}, {}, {}})); }
  std::string refused_tensor(const std::string& info, std::size_t data_bytes = 64) const {
    return refused(file_of({{}, {info}, std::string(data_bytes, '\0')}));
  }
};

TEST_F(Gguf, DequantisesLikeTheReference) {
  const GgufFile file(weight_fixture("quantised.gguf"));
  const TensorFile expected = read_safetensors(weight_fixture("expected.safetensors"));
  ASSERT_EQ(file.tensor_names().size(), 11U);
  ASSERT_EQ(expected.tensors.size(), 11U);
  for (const auto& [name, tensor] : expected.tensors) {
    EXPECT_EQ(file.shape(name), tensor.sizes().vec()) << name;
    const at::Tensor ours = file.tensor(name);
    EXPECT_EQ(ours.scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(at::allclose(ours, tensor, 1e-6, 1e-9)) << name;
    EXPECT_GT(ours.abs().max().item<float>(), 0.0F) << name;
  }
}

TEST_F(Gguf, ReadsEveryKindOfMetadata) {
  const GgufFile file(weight_fixture("quantised.gguf"));
  const auto& metadata = file.metadata();
  const Json expected = {{"test.u8", 200},
                         {"test.i8", -100},
                         {"test.u16", 60000},
                         {"test.i16", -30000},
                         {"test.u32", 4000000000U},
                         {"test.i32", -2000000000},
                         {"test.u64", UINT64_MAX},
                         {"test.i64", INT64_MIN},
                         {"test.f32", 0.25},
                         {"test.f64", 0.1},
                         {"test.flag", true},
                         {"test.text", "gr\u00fc\u00dfe"},
                         {"test.texts", {"a", "", "\u0120the"}},
                         {"test.ints", {1, -2, 3}},
                         {"test.floats", {0.5, -1.5}},
                         {"general.architecture", "llama"}};
  for (const auto& [key, value] : expected.items()) {
    ASSERT_TRUE(metadata.count(key)) << key;
    EXPECT_EQ(metadata.at(key), value) << key;
  }
}

TEST_F(Gguf, ReadsVersionTwoAndSmallAlignments) {
  Parts parts;
  parts.version = 2;
  parts.alignment = 1;
  parts.pairs = {pair_of("general.alignment", kUint32Value, bytes_of<std::uint32_t>(1))};
  const std::string q8 = std::string("\x00\x3c", 2) + std::string(32, '\3');  // scale 1, every value 3
  for (int shift = 0; shift < 8; ++shift) {
    parts.tensors = {tensor_info(std::string(shift + 1, 'f'), {2}, kF32, 0), tensor_info("q", {32}, kQ8, 8)};
    parts.data = bytes_of(1.0F) + bytes_of(-2.0F) + q8;
    const GgufFile file(write("small.gguf", file_of(parts)));
    EXPECT_TRUE(at::equal(file.tensor(std::string(shift + 1, 'f')), at::tensor({1.0F, -2.0F})));
    EXPECT_TRUE(at::equal(file.tensor("q"), at::full({32}, 3.0F)));
  }
}

TEST_F(Gguf, TensorsOutliveTheFileAndLieInIt) {
  const fs::path path = write("one.gguf", file_of({{}, {tensor_info("w", {2}, kF32, 0)}, bytes_of(1.0F) + bytes_of(2.0F)}));
  const at::Tensor tensor = GgufFile(path).tensor("w");
  EXPECT_TRUE(at::equal(tensor, at::tensor({1.0F, 2.0F})));
  EXPECT_TRUE(lies_in_file(tensor));  // so that whoever trains it gives it memory of its own first
}

TEST_F(Gguf, SaysWhichTensorIsMissingOrNoWeight) {
  const GgufFile file(write("one.gguf", file_of({{}, {tensor_info("weight", {2}, kI32, 0)}, std::string(8, '\0')})));
  EXPECT_THAT(refusal([&] { file.tensor("wieght"); }), HasSubstr("no tensor \"wieght\"; the nearest name is \"weight\""));
  EXPECT_THAT(refusal([&] { file.shape("x"); }), HasSubstr("no tensor \"x\""));
  EXPECT_THAT(refusal([&] { file.tensor("weight"); }), HasSubstr("type i32, which does not hold weights"));
}

TEST_F(Gguf, RefusesEveryTruncation) {
  const std::string whole =
      file_of({{pair_of("a", kStringValue, text("value")),
                pair_of("list", kArrayValue, bytes_of(kUint32Value) + bytes_of<std::uint64_t>(2) + bytes_of<std::uint64_t>(7))},
               {tensor_info("w", {32, 2}, kQ8, 0)},
               std::string(68, '\1')});
  GgufFile file(write("whole.gguf", whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(refused(whole.substr(0, size)), HasSubstr("truncated")) << size;
  }
}

TEST_F(Gguf, RefusesOtherFilesAndVersions) {
  EXPECT_THAT(refused("GGML" + std::string(60, '\0')), HasSubstr("does not begin with \"GGUF\""));
  EXPECT_THAT(refused(file_of({{}, {}, {}, 1})), HasSubstr("version is 1, expected 2 or 3"));
  EXPECT_THAT(refused(file_of({{}, {}, {}, 0x03000000})), HasSubstr("big-endian"));
}

TEST_F(Gguf, RefusesCountsAndLengthsThatLie) {
  const auto head = [](std::uint64_t tensors, std::uint64_t pairs) {
    return "GGUF" + bytes_of<std::uint32_t>(3) + bytes_of(tensors) + bytes_of(pairs) + std::string(64, '\0');
  };
  EXPECT_THAT(refused(head(UINT64_MAX, 0)), HasSubstr("claims 18446744073709551615 tensors"));
  EXPECT_THAT(refused(head(0, UINT64_MAX / 13 + 2)), HasSubstr("metadata pairs"));
  const std::string endless = bytes_of<std::uint64_t>(UINT64_MAX);
  EXPECT_THAT(refused_pair(endless + "key_______________"), HasSubstr("metadata key 0 needs 18446744073709551615 bytes"));
  EXPECT_THAT(refused_pair(pair_of("k", kStringValue, endless)), HasSubstr("the value of \"k\" needs"));
  EXPECT_THAT(refused_pair(pair_of("k", kArrayValue, bytes_of(kUint32Value) + bytes_of<std::uint64_t>(1ULL << 62))),
              HasSubstr("claims 4611686018427387904 elements of the value of \"k\""));
  EXPECT_THAT(refused_pair(text(std::string(70000, 'k')) + bytes_of(kBoolValue) + "\1"), HasSubstr("70000 bytes long"));
}

TEST_F(Gguf, RefusesMetadataThatCannotBe) {
  EXPECT_THAT(refused_pair(pair_of("k", 13, "\1")), HasSubstr("value type 13"));
  EXPECT_THAT(refused_pair(pair_of("k", kBoolValue, "\2")), HasSubstr("value 2, expected 0 or 1"));
  EXPECT_THAT(refused_pair(pair_of("k", kArrayValue, bytes_of(kArrayValue) + bytes_of<std::uint64_t>(1))),
              HasSubstr("list of lists"));
  EXPECT_THAT(refused_pair(pair_of("k", kArrayValue, bytes_of<std::uint32_t>(99) + bytes_of<std::uint64_t>(1))),
              HasSubstr("element type 99"));
  EXPECT_THAT(refused_pair(pair_of("\xff", kBoolValue, "\1")), HasSubstr("not UTF-8"));
  const std::string twice = pair_of("k", kBoolValue, "\1");
  EXPECT_THAT(refused(file_of({{twice, twice}, {}, {}})), HasSubstr("\"k\" is there twice"));
}

TEST_F(Gguf, RefusesAlignmentsThatAreNoPowerOfTwo) {
  for (const std::uint32_t alignment : {0U, 3U, 48U}) {
    EXPECT_THAT(refused_pair(pair_of("general.alignment", kUint32Value, bytes_of(alignment))),
                HasSubstr("expected a power of two"))
        << alignment;
  }
  EXPECT_THAT(refused_pair(pair_of("general.alignment", kStringValue, text("32"))), HasSubstr("expected a power of two"));
}

TEST_F(Gguf, RefusesTensorsThatCannotBe) {
  EXPECT_THAT(refused_tensor(tensor_info("w", {32}, 4, 0)), HasSubstr("tensor \"w\" has the type 4"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {32}, 0xffffffff, 0)), HasSubstr("has the type 4294967295"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {33}, kQ8, 0)), HasSubstr("rows of 33 values, expected a multiple of 32"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {1, 1, 1, 1, 1}, kF32, 0)), HasSubstr("5 dimensions"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {1ULL << 63}, kF32, 0)), HasSubstr("dimension of 9223372036854775808"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {1ULL << 62}, kF32, 0)), HasSubstr("overflows"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {1ULL << 32, 1ULL << 32, 0}, kF32, 0)), HasSubstr("overflows"));
  EXPECT_THAT(refused_tensor(tensor_info("\xc3\x28", {2}, kF32, 0)), HasSubstr("not UTF-8"));
  const std::string w = tensor_info("w", {2}, kF32, 0);
  EXPECT_THAT(refused(file_of({{}, {w, w}, std::string(64, '\0')})), HasSubstr("tensor \"w\" is there twice"));
}

TEST_F(Gguf, RefusesOffsetsThatLie) {
  EXPECT_THAT(refused_tensor(tensor_info("w", {2}, kF32, 8)), HasSubstr("multiple of the alignment 32"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {2}, kF32, 64)), HasSubstr("takes 8 bytes but the data is only 64 bytes"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {2}, kF32, UINT64_MAX - 31)), HasSubstr("the data is only 64 bytes"));
  EXPECT_THAT(refused_tensor(tensor_info("w", {17}, kF32, 0)), HasSubstr("takes 68 bytes"));
  const std::string data(128, '\0');
  EXPECT_THAT(refused(file_of({{}, {tensor_info("a", {2}, kF32, 0), tensor_info("b", {2}, kF32, 0)}, data})),
              HasSubstr("overlap"));
  EXPECT_THAT(refused(file_of({{}, {tensor_info("a", {16}, kF32, 0), tensor_info("b", {2}, kF32, 32)}, data})),
              HasSubstr("tensors \"a\" and \"b\" overlap"));
}

TEST_F(Gguf, NoFlippedByteCrashes) {
  const std::string whole = read_file(weight_fixture("quantised.gguf"));
  for (std::size_t place = 0; place < 1400; ++place) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string lie = whole;
      lie[place] = static_cast<char>(lie[place] ^ flip);
      const fs::path path = write("flip.gguf", lie);
      try {
        const GgufFile file(path);
        for (const auto& name : file.tensor_names()) file.tensor(name);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("flip.gguf")) << place;
      }
    }
  }
}

}  // namespace
}  // namespace holdfast
