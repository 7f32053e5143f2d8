#include "model/safetensors.h"

#include <ATen/ATen.h>

#include "base/json.h"
#include "model/hostile_file.h"
#include "model/mapped_tensor.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

std::string with_header(const std::string& header, std::size_t data_bytes) {
  return bytes_of<std::uint64_t>(header.size()) + header + std::string(data_bytes, '\1');
}

// A header with one tensor "w".
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

class Safetensors : public WeightFiles {
 protected:
  // What reading these bytes as lie.safetensors says.
  std::string refused(const std::string& bytes) const {
    const fs::path path = write("lie.safetensors", bytes);
    const std::string message = refusal([&] { read_safetensors(path); });
    EXPECT_THAT(message, HasSubstr("lie.safetensors: "));
    return message;
  }
  std::string refused_header(const std::string& header, std::size_t data_bytes = 8) const {
    return refused(with_header(header, data_bytes));
  }
};

TEST_F(Safetensors, ReadsWhatTheReferenceWrote) {
  const TensorFile file = read_safetensors(weight_fixture("a.safetensors"));
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(file.tensors.size(), 6U);
  const at::Tensor ramp = at::arange(-8, 16, at::kLong).reshape({4, 6});
  const std::map<std::string, at::ScalarType> types = {{"f32", at::kFloat}, {"f16", at::kHalf}, {"bf16", at::kBFloat16}};
  for (const auto& [name, type] : types) {
    const at::Tensor& tensor = file.tensors.at(name);
    EXPECT_EQ(tensor.scalar_type(), type) << name;
    EXPECT_TRUE(at::equal(tensor.to(at::kFloat), ramp.to(at::kFloat) / 4)) << name;
  }
  EXPECT_TRUE(at::equal(file.tensors.at("i64"), ramp));
  EXPECT_EQ(file.tensors.at("empty").sizes(), (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(file.tensors.at("scalar").dim(), 0);
  EXPECT_EQ(file.tensors.at("scalar").item<float>(), 1.5F);
}

TEST_F(Safetensors, TensorsOutliveTheFileAndLieInIt) {
  const fs::path path = write("w.safetensors", "");
  write_safetensors(path, {{"w", at::tensor({3, 5}, at::kLong)}});
  const at::Tensor tensor = read_safetensors(path).tensors.at("w");
  EXPECT_TRUE(at::equal(tensor, at::tensor({3, 5}, at::kLong)));
  EXPECT_TRUE(lies_in_file(tensor));  // so that whoever trains it gives it memory of its own first
}

TEST_F(Safetensors, CopiesMisalignedData) {
  std::string header = one("F32", "[2]", "[0,8]");
  while (header.size() % 4 != 1) header += ' ';
  const fs::path path = write("odd.safetensors", with_header(header, 0) + bytes_of(2.5F) + bytes_of(-1.0F));
  const at::Tensor tensor = read_safetensors(path).tensors.at("w");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 4, 0U);
  EXPECT_TRUE(at::equal(tensor, at::tensor({2.5F, -1.0F})));
}

TEST_F(Safetensors, WritesWhatItReadsBack) {
  const std::map<std::string, at::Tensor> tensors = {{"b", at::arange(3, at::kHalf)},
                                                     {"a", at::arange(5, at::kLong)},
                                                     {"view", at::arange(6, at::kFloat).reshape({2, 3}).t()}};
  const fs::path path = folder_ / "out.safetensors";
  write_safetensors(path, tensors, {{"made", "\"here\""}});
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.metadata.at("made"), "\"here\"");
  ASSERT_EQ(file.tensors.size(), 3U);
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.tensors.at(name).scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(at::equal(file.tensors.at(name), tensor)) << name;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1) << "a temporary file was left";
  std::uint64_t length = 0;
  std::memcpy(&length, read_file(path).data(), 8);
  EXPECT_EQ(length % 8, 0U);
}

TEST_F(Safetensors, WritingRefusesTypesAndNamesThatTheFormatLacks) {
  const fs::path path = folder_ / "out.safetensors";
  EXPECT_THAT(refusal([&] { write_safetensors(path, {{"flag", at::ones(2, at::kBool)}}); }), HasSubstr("tensor \"flag\""));
  EXPECT_THAT(refusal([&] { write_safetensors(path, {{"__metadata__", at::ones(2)}}); }), HasSubstr("reserves"));
  EXPECT_THAT(refusal([&] { write_safetensors(folder_ / "no" / "x", {{"a", at::ones(2)}}); }), HasSubstr("No such file"));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  const std::string whole = read_file(weight_fixture("a.safetensors"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(refused(whole.substr(0, size)), HasSubstr("truncated")) << size;
  }
  EXPECT_THAT(refused(whole + "x"), HasSubstr("does not describe all of it"));
}

TEST_F(Safetensors, RefusesEveryWrongHeaderLength) {
  const std::string whole = read_file(weight_fixture("a.safetensors"));
  for (std::size_t place = 0; place < 8; ++place) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string lie = whole;
      lie[place] = static_cast<char>(lie[place] ^ (1 << bit));
      EXPECT_THAT(refused(lie), HasSubstr("header")) << place << " " << bit;
    }
  }
  EXPECT_THAT(refused(bytes_of<std::uint64_t>(UINT64_MAX) + "{}"), HasSubstr("18446744073709551615 bytes, expected at most"));
  EXPECT_THAT(refused(bytes_of<std::uint64_t>(100'000'000) + "{}"), HasSubstr("only 2 follow"));
  EXPECT_THAT(refused(bytes_of<std::uint64_t>(0)), HasSubstr("does not begin with '{'"));
}

TEST_F(Safetensors, RefusesOffsetsThatLie) {
  EXPECT_THAT(refused_header(one("F32", "[1022]", "[8,4096]"), 100),
              HasSubstr("tensor \"w\" lies at bytes 8 to 4096 but the data is only 100 bytes: the file is truncated or its "
                        "header is wrong"));
  EXPECT_THAT(refused_header(one("F32", "[2]", "[8,0]")), HasSubstr("ends before it begins"));
  EXPECT_THAT(refused_header(one("F32", "[1]", "[4,8]")), HasSubstr("there is a gap"));
  EXPECT_THAT(refused_header(one("F32", "[1]", "[0,4]")), HasSubstr("does not describe all of it"));
  EXPECT_THAT(refused_header(one("F32", "[1]", "[0,8]")), HasSubstr("which is 8 bytes, but its shape and dtype F32 need 4"));
  EXPECT_THAT(refused_header(one("F16", "[2]", "[0,8]")), HasSubstr("F16 need 4"));
  EXPECT_THAT(refused_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
              HasSubstr("they overlap"));
}

TEST_F(Safetensors, RefusesNumbersThatCannotBe) {
  EXPECT_THAT(refused_header(one("F32", "[4611686018427387904,4]", "[0,8]")), HasSubstr("overflows"));
  EXPECT_THAT(refused_header(one("F32", "[4294967296,4294967296,0]", "[0,0]"), 0), HasSubstr("overflows"));
  EXPECT_THAT(refused_header(one("I64", "[9223372036854775807]", "[0,8]")), HasSubstr("overflows"));
  for (const char* shape :
       {"[-2]", "[2.0]", "[18446744073709551615]", "[1e400]", "[99999999999999999999999]", "[\"2\"]", "2"}) {
    EXPECT_THAT(refused_header(one("F32", shape, "[0,8]")), ::testing::AnyOf(HasSubstr("shape"), HasSubstr("out of range")))
        << shape;
  }
  for (const char* offsets : {"[-8,0]", "[0,18446744073709551608]", "[0]", "[0,8,8]", "{}", "null"}) {
    EXPECT_THAT(refused_header(one("F32", "[2]", offsets)), HasSubstr("data_offsets")) << offsets;
  }
  std::string ones = "[1";
  for (int i = 0; i < 100; ++i) ones += ",1";
  EXPECT_THAT(refused_header(one("I64", ones + "]", "[0,8]")), HasSubstr("101 dimensions"));
}

TEST_F(Safetensors, RefusesHeadersThatSayTooLittleOrTooMuch) {
  const std::string w = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_THAT(refused_header("{" + w + "," + w + "}"), HasSubstr("has \"w\" twice"));
  EXPECT_THAT(refused_header(R"({"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
              HasSubstr("has \"dtype\" twice"));
  EXPECT_THAT(refused_header(R"({"w":{"dtype":"F32","shape":[2]}})"), HasSubstr("tensor \"w\" has no \"data_offsets\""));
  EXPECT_THAT(refused_header(R"({"w":7})"), HasSubstr("tensor \"w\" is not described by an object"));
  EXPECT_THAT(refused_header(one("F8_E4M3", "[8]", "[0,8]")), HasSubstr("its dtype is \"F8_E4M3\", expected F32"));
  EXPECT_THAT(refused_header(R"({"w":{"dtype":3,"shape":[2],"data_offsets":[0,8]}})"), HasSubstr("dtype is not a text"));
  EXPECT_THAT(refused_header(R"({"__metadata__":{"a":1}})"), HasSubstr("the value of \"a\" is not a text"));
  EXPECT_THAT(refused_header(R"({"__metadata__":[]})"), HasSubstr("\"__metadata__\" is not an object"));
  EXPECT_THAT(refused_header("[1]"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refused_header("{\"\xff\xfe\":{}}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused_header("{" + w + "} trailing"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused_header("{\"w\":" + std::string(100000, '[')), HasSubstr("nests deeper"));
}

TEST_F(Safetensors, SaysWhichFileIsMissing) {
  EXPECT_THAT(refusal([&] { read_safetensors(folder_ / "none.safetensors"); }), HasSubstr("none.safetensors: No such file"));
  EXPECT_THAT(refusal([&] { read_safetensors(folder_); }), HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace holdfast
