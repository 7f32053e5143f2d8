#include "model/gguf.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ggml.h>
#include <holdfast/error.h>

#include <algorithm>
#include <cstring>

#include "base/foreign.h"
#include "base/suggest.h"
#include "model/mapped_tensor.h"

namespace holdfast {
namespace {

constexpr std::uint32_t kMaxGgmlDimensions = GGML_MAX_DIMS;
constexpr std::uint64_t kMaxKey = 65535;            // the specification's limit
constexpr std::uint64_t kSmallestPair = 8 + 4 + 1;  // key length, type, a one-byte value
constexpr std::uint64_t kSmallestTensor = 8 + 4 + 4 + 8;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr const char* kAlignmentKey = "general.alignment";

// The value types of the format; their numbers are fixed.
enum ValueType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
  kTypes
};
constexpr std::uint64_t kSmallestValue[kTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

bool is_utf8(const std::string& text) {
  try {
    Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

std::string number(std::uint64_t value) { return std::to_string(value); }

// Reads the header front to back and never past the end.
class Reader {
 public:
  explicit Reader(const MappedFile& file) : file_(file) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return file_.size() - position_; }
  std::string foreign_content() const {
    return holdfast::foreign_content({reinterpret_cast<const char*>(file_.data()), file_.size()});
  }

  [[noreturn]] void refuse(const std::string& sentence) const { throw Error(file_.path().string() + ": " + sentence); }

  template <typename T>
  T read(const std::string& what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, file_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string read_string(const std::string& what) {
    const auto length = read<std::uint64_t>("the length of " + what);
    need(length, what);
    std::string text(reinterpret_cast<const char*>(file_.data()) + position_, length);
    position_ += length;
    return text;
  }

  /// A key or a tensor's name: short UTF-8.
  std::string read_name(const std::string& what) {
    std::string name = read_string(what);
    if (name.size() > kMaxKey) refuse(what + " is " + number(name.size()) + " bytes long, expected at most " + number(kMaxKey));
    if (!is_utf8(name)) refuse(what + ", " + in_quotes(name) + ", is not UTF-8");
    return name;
  }

  /// A count of things that take at least `smallest` bytes each.
  std::uint64_t read_count(const std::string& what, std::uint64_t smallest) {
    const auto count = read<std::uint64_t>("the number of " + what);
    check_count(count, what, smallest);
    return count;
  }
  void check_count(std::uint64_t count, const std::string& what, std::uint64_t smallest) const {
    if (count <= left() / smallest) return;
    refuse("it claims " + number(count) + " " + what + " but the " + number(left()) + " bytes that follow hold at most " +
           number(left() / smallest) + ": the file is truncated or its header is wrong");
  }

 private:
  void need(std::uint64_t bytes, const std::string& what) const {
    if (bytes <= left()) return;
    refuse(what + " needs " + number(bytes) + " bytes at byte " + number(position_) + " but the file is only " +
           number(file_.size()) + " bytes: it is truncated or its header is wrong");
  }

  const MappedFile& file_;
  std::uint64_t position_ = 0;
};

Json read_scalar(Reader& reader, std::uint32_t type, const std::string& what) {
  switch (type) {
    case kUint8:
      return reader.read<std::uint8_t>(what);
    case kInt8:
      return reader.read<std::int8_t>(what);
    case kUint16:
      return reader.read<std::uint16_t>(what);
    case kInt16:
      return reader.read<std::int16_t>(what);
    case kUint32:
      return reader.read<std::uint32_t>(what);
    case kInt32:
      return reader.read<std::int32_t>(what);
    case kFloat32:
      return reader.read<float>(what);
    case kUint64:
      return reader.read<std::uint64_t>(what);
    case kInt64:
      return reader.read<std::int64_t>(what);
    case kFloat64:
      return reader.read<double>(what);
    case kString:
      return reader.read_string(what);
    case kBool: {
      const auto byte = reader.read<std::uint8_t>(what);
      if (byte > 1) reader.refuse(what + " is a flag with the value " + number(byte) + ", expected 0 or 1");
      return byte == 1;
    }
    default:
      reader.refuse(what + " has the value type " + number(type) + ", expected 0 to " + number(kTypes - 1));
  }
}

Json read_array(Reader& reader, const std::string& what) {
  const auto type = reader.read<std::uint32_t>("the element type of " + what);
  if (type == kArray) reader.refuse(what + " is a list of lists, expected a list of numbers, flags or texts");
  if (type >= kTypes) reader.refuse(what + " has the element type " + number(type) + ", expected 0 to " + number(kTypes - 1));
  const std::uint64_t count = reader.read_count("elements of " + what, kSmallestValue[type]);
  Json list = Json::array();
  list.get_ref<Json::array_t&>().reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) list.push_back(read_scalar(reader, type, what));
  return list;
}

void read_metadata(Reader& reader, std::uint64_t count, std::map<std::string, Json>& metadata) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key = reader.read_name("metadata key " + number(i));
    if (metadata.count(key) > 0) reader.refuse("the metadata key " + in_quotes(key) + " is there twice, expected once");
    const std::string what = "the value of " + in_quotes(key);
    const auto type = reader.read<std::uint32_t>("the type of " + what);
    metadata[key] = type == kArray ? read_array(reader, what) : read_scalar(reader, type, what);
  }
}

std::uint64_t alignment_of(const Reader& reader, const std::map<std::string, Json>& metadata) {
  const auto found = metadata.find(kAlignmentKey);
  if (found == metadata.end()) return kDefaultAlignment;
  const std::uint64_t alignment = found->second.is_number_unsigned() ? found->second.get<std::uint64_t>() : 0;
  if (alignment == 0 || alignment > UINT32_MAX || (alignment & (alignment - 1)) != 0) {
    reader.refuse(std::string(kAlignmentKey) + " is " +
                  in_quotes(found->second.dump(-1, ' ', false, Json::error_handler_t::replace)) + ", expected a power of two");
  }
  return alignment;
}

std::uint32_t read_type(Reader& reader, const std::string& tensor) {
  const auto type = reader.read<std::uint32_t>("the type of " + tensor);
  const bool known = type < GGML_TYPE_COUNT && ggml_get_type_traits(static_cast<ggml_type>(type))->blck_size > 0;
  if (!known) {
    reader.refuse(tensor + " has the type " + number(type) + ", which this program's ggml does not know: convert the file to " +
                  "a type such as Q8_0 or F16");
  }
  return type;
}

// Outermost first, as torch counts; the file has the innermost first.
std::vector<std::int64_t> read_shape(Reader& reader, const std::string& tensor) {
  const auto dimensions = reader.read<std::uint32_t>("the number of dimensions of " + tensor);
  if (dimensions > kMaxGgmlDimensions) {
    reader.refuse(tensor + " has " + number(dimensions) + " dimensions, expected at most " + number(kMaxGgmlDimensions));
  }
  std::vector<std::int64_t> shape(dimensions);
  for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
    const auto value = reader.read<std::uint64_t>("the shape of " + tensor);
    if (value > INT64_MAX) reader.refuse(tensor + " has a dimension of " + number(value) + ", expected at most 2^63 - 1");
    *size = static_cast<std::int64_t>(value);
  }
  return shape;
}

// What the tensor takes in the file. Dimensions of 0 count as 1 in the overflow check, as strides do.
std::uint64_t bytes_of(const Reader& reader, const std::vector<std::int64_t>& shape, std::uint32_t type,
                       const std::string& tensor) {
  const auto* traits = ggml_get_type_traits(static_cast<ggml_type>(type));
  const std::int64_t row = shape.empty() ? 1 : shape.back();
  if (row % traits->blck_size != 0) {
    reader.refuse(tensor + " has rows of " + std::to_string(row) + " values, expected a multiple of " +
                  std::to_string(traits->blck_size) + " for the type " + traits->type_name);
  }
  std::int64_t values = 1;
  bool empty = false;
  bool overflow = false;
  for (const std::int64_t size : shape) {
    empty = empty || size == 0;
    overflow = overflow || __builtin_mul_overflow(values, std::max<std::int64_t>(size, 1), &values);
  }
  // Four bytes a value is what tensor() returns.
  std::int64_t bytes = 0;
  std::int64_t unpacked = 0;
  overflow = overflow || __builtin_mul_overflow(values, std::int64_t{4}, &unpacked) ||
             __builtin_mul_overflow(values / traits->blck_size, traits->type_size, &bytes);
  if (overflow) reader.refuse(tensor + ": its shape overflows, no file is that large");
  return empty ? 0 : static_cast<std::uint64_t>(bytes);
}

std::uint32_t read_version(Reader& reader) {
  char magic[4];
  for (char& letter : magic) letter = reader.read<char>("the magic number");
  if (std::memcmp(magic, "GGUF", 4) != 0) {
    const std::string what = reader.foreign_content();
    reader.refuse("the file does not begin with \"GGUF\": it is " + (what.empty() ? "no GGUF file" : what));
  }
  const auto version = reader.read<std::uint32_t>("the version");
  if (version != 2 && version != 3) {
    reader.refuse("its GGUF version is " + number(version) + ", expected 2 or 3" +
                  (version >= 1 << 16 ? ": it was written for a big-endian machine" : ""));
  }
  return version;
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : file_(std::make_shared<MappedFile>(path)) {
  Reader reader(*file_);
  read_version(reader);
  const std::uint64_t tensors = reader.read_count("tensors", kSmallestTensor);
  const std::uint64_t pairs = reader.read_count("metadata pairs", kSmallestPair);
  read_metadata(reader, pairs, metadata_);
  reader.check_count(tensors, "tensors", kSmallestTensor);
  for (std::uint64_t i = 0; i < tensors; ++i) {
    const std::string name = reader.read_name("the name of tensor " + number(i));
    const std::string tensor = "tensor " + in_quotes(name);
    Entry entry;
    entry.shape = read_shape(reader, tensor);
    entry.type = read_type(reader, tensor);
    entry.offset = reader.read<std::uint64_t>("the offset of " + tensor);
    entry.bytes = bytes_of(reader, entry.shape, entry.type, tensor);
    entry.file = file_;
    if (!entries_.emplace(name, entry).second) reader.refuse(tensor + " is there twice, expected once");
  }
  place_tensors(reader.position(), alignment_of(reader, metadata_));
}

// Turns offsets from the start of the data into offsets from the start of the file, and checks them.
void GgufFile::place_tensors(std::uint64_t header_end, std::uint64_t alignment) {
  const std::uint64_t data_begin = (header_end + alignment - 1) / alignment * alignment;
  const std::uint64_t data_size = file_->size() > data_begin ? file_->size() - data_begin : 0;
  const std::string file = file_->path().string() + ": ";
  std::map<std::uint64_t, std::pair<std::string, std::uint64_t>> ends;  // by begin: name and end
  for (auto& [name, entry] : entries_) {
    const std::string place = file + "tensor " + in_quotes(name) + " begins at byte " + number(entry.offset) + " of the data";
    if (entry.offset % alignment != 0) throw Error(place + ", expected a multiple of the alignment " + number(alignment));
    if (entry.offset > data_size || entry.bytes > data_size - entry.offset) {
      throw Error(place + " and takes " + number(entry.bytes) + " bytes but the data is only " + number(data_size) +
                  " bytes: the file is truncated or its header is wrong");
    }
    const auto [other, fresh] = ends.try_emplace(entry.offset, name, entry.offset + entry.bytes);
    if (!fresh && entry.bytes > 0 && other->second.second > entry.offset) {
      throw Error(place + ", where tensor " + in_quotes(other->second.first) + " lies: they overlap");
    }
    if (!fresh && entry.bytes > 0) other->second = {name, entry.offset + entry.bytes};
    entry.offset += data_begin;
  }
  std::uint64_t end = 0;
  std::string before;
  for (const auto& [begin, tensor] : ends) {
    if (begin < end) throw Error(file + "tensors " + in_quotes(before) + " and " + in_quotes(tensor.first) + " overlap");
    std::tie(before, end) = tensor;
  }
}

void GgufFile::take_tensors(const GgufFile& other) {
  for (const auto& [name, entry] : other.entries_) {
    if (!entries_.emplace(name, entry).second) {
      throw Error(other.file_->path().string() + " repeats tensor " + in_quotes(name) + " of another part");
    }
  }
}

std::vector<std::string> GgufFile::tensor_names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const GgufFile::Entry& GgufFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  const std::string hint = nearest(name, tensor_names());
  throw Error(file_->path().string() + " has no tensor " + in_quotes(name) +
              (hint.empty() ? std::string() : "; the nearest name is " + in_quotes(hint)));
}

std::vector<std::int64_t> GgufFile::shape(const std::string& name) const { return entry(name).shape; }

at::Tensor GgufFile::tensor(const std::string& name) const {
  const Entry& found = entry(name);
  const auto* traits = ggml_get_type_traits(static_cast<ggml_type>(found.type));
  if (found.type != GGML_TYPE_F32 && traits->to_float == nullptr) {
    throw Error(file_->path().string() + ": tensor " + in_quotes(name) + " has the type " + traits->type_name +
                ", which does not hold weights, expected a floating-point or quantised type");
  }
  at::Tensor result = at::empty(found.shape, at::kFloat);
  if (found.bytes == 0) return result;
  unsigned char* data = const_cast<unsigned char*>(found.file->data()) + found.offset;
  // ggml reads blocks as structs: a file with a smaller alignment is copied first.
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % alignof(std::uint64_t) == 0;
  if (found.type == GGML_TYPE_F32) {
    if (aligned) return mapped_tensor(found.file, data, found.shape, at::kFloat);
    std::memcpy(result.data_ptr(), data, found.bytes);
    return result;
  }
  std::vector<std::uint64_t> copy(aligned ? 0 : found.bytes / 8 + 1);
  if (!aligned) {
    std::memcpy(copy.data(), data, found.bytes);
    data = reinterpret_cast<unsigned char*>(copy.data());
  }
  const std::int64_t blocks = result.numel() / traits->blck_size;
  float* values = result.data_ptr<float>();
  at::parallel_for(0, blocks, 4096, [&](std::int64_t begin, std::int64_t end) {
    traits->to_float(data + static_cast<std::uint64_t>(begin) * traits->type_size, values + begin * traits->blck_size,
                     (end - begin) * traits->blck_size);
  });
  return result;
}

}  // namespace holdfast
