#include "model/safetensors.h"

#include <ATen/ops/empty.h>
#include <holdfast/error.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>
#include <vector>

#include "base/file.h"
#include "base/foreign.h"
#include "base/json.h"
#include "base/untrusted.h"
#include "model/mapped_tensor.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kMaxDimensions = 16;
constexpr const char* kMetadata = "__metadata__";

struct Dtype {
  const char* name;
  at::ScalarType type;
  std::int64_t bytes;
};
constexpr std::array<Dtype, 4> kDtypes = {
    {{"F32", at::kFloat, 4}, {"F16", at::kHalf, 2}, {"BF16", at::kBFloat16, 2}, {"I64", at::kLong, 8}}};

struct Entry {
  std::string name;
  const Dtype* dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;  // from the start of the data
  std::uint64_t end;
};

[[noreturn]] void refuse(const fs::path& path, const std::string& sentence) { throw Error(path.string() + ": " + sentence); }

// Refuses while parsing what a JSON value can no longer show: repeated keys, and nesting that could cost memory.
Json::parser_callback_t strict_keys(const fs::path& path) {
  auto open = std::make_shared<std::vector<std::set<std::string>>>();
  return [open, path](int depth, Json::parse_event_t event, Json& value) {
    if (depth > 3) refuse(path, "the header nests deeper than a tensor's shape, which the safetensors format does not allow");
    if (event == Json::parse_event_t::object_start) open->emplace_back();
    if (event == Json::parse_event_t::object_end) open->pop_back();
    if (event == Json::parse_event_t::key && !open->back().insert(value.get<std::string>()).second) {
      refuse(path, "the header has " + in_quotes(value.get<std::string>()) + " twice, expected every name once");
    }
    return true;
  };
}

// Byte 8 of the format is the brace of its header.
void refuse_foreign(const MappedFile& file) {
  if (file.size() > 8 && file.data()[8] == '{') return;
  const std::string what = foreign_content({reinterpret_cast<const char*>(file.data()), file.size()});
  if (!what.empty()) refuse(file.path(), "this is no safetensors file but " + what);
}

std::uint64_t header_length(const MappedFile& file) {
  if (file.size() < 8) {
    refuse(file.path(),
           "the file is " + std::to_string(file.size()) +
               " bytes, expected at least the 8 bytes of the header length: it is truncated or no safetensors file");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  if (length > kMaxHeader) {
    refuse(file.path(), "the header length is " + std::to_string(length) + " bytes, expected at most " +
                            std::to_string(kMaxHeader) + ": this is no safetensors file");
  }
  if (length > file.size() - 8) {
    refuse(file.path(), "the header length is " + std::to_string(length) + " bytes but only " +
                            std::to_string(file.size() - 8) + " follow: the file is truncated or no safetensors file");
  }
  return length;
}

Json parse_header(const MappedFile& file, std::uint64_t length) {
  const auto* begin = reinterpret_cast<const char*>(file.data()) + 8;
  if (length == 0 || *begin != '{') refuse(file.path(), "the header does not begin with '{', expected a JSON object");
  if (has_zero_byte({begin, length})) refuse(file.path(), "the header is not valid JSON: a zero byte stands in it");
  try {
    return Json::parse(begin, begin + length, strict_keys(file.path()));
  } catch (const Json::parse_error& error) {
    refuse(file.path(), "the header is not valid JSON at its byte " + std::to_string(error.byte));
  } catch (const Json::exception&) {
    refuse(file.path(), "the header has a number that is out of range");
  }
}

const Json& member(const Json& info, const char* key, const std::string& tensor, const fs::path& path) {
  const auto found = info.find(key);
  if (found == info.end()) refuse(path, tensor + " has no \"" + key + "\", expected dtype, shape and data_offsets");
  return *found;
}

const Dtype* dtype_of(const Json& value, const std::string& tensor, const fs::path& path) {
  for (const auto& dtype : kDtypes) {
    if (value == dtype.name) return &dtype;
  }
  const std::string found = value.is_string() ? in_quotes(value.get<std::string>()) : std::string("not a text");
  refuse(path, tensor + ": its dtype is " + found + ", expected F32, F16, BF16 or I64");
}

// A list of integers from 0 to 2^63 - 1.
std::vector<std::int64_t> sizes_of(const Json& list, const char* key, const std::string& tensor, const fs::path& path) {
  if (!list.is_array()) refuse(path, tensor + ": its " + key + " is not a list, expected a list of integers");
  std::vector<std::int64_t> sizes;
  for (const Json& item : list) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > INT64_MAX) {
      refuse(path, tensor + ": its " + key + " has an entry that is not an integer from 0 to 2^63 - 1");
    }
    sizes.push_back(item.get<std::int64_t>());
  }
  return sizes;
}

// The bytes of a tensor, or nothing on overflow. A dimension of 0 counts as 1 in the overflow check, as strides do.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, std::int64_t element) {
  std::int64_t product = element;
  bool empty = false;
  for (const std::int64_t size : shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product)) return std::nullopt;
  }
  return empty ? 0 : static_cast<std::uint64_t>(product);
}

Entry entry_of(const std::string& name, const Json& info, std::uint64_t data_size, const fs::path& path) {
  const std::string tensor = "tensor " + in_quotes(name);
  if (!info.is_object()) refuse(path, tensor + " is not described by an object, expected dtype, shape and data_offsets");
  Entry entry{name, dtype_of(member(info, "dtype", tensor, path), tensor, path), {}, 0, 0};
  entry.shape = sizes_of(member(info, "shape", tensor, path), "shape", tensor, path);
  if (entry.shape.size() > kMaxDimensions) {
    refuse(path, tensor + " has " + std::to_string(entry.shape.size()) + " dimensions, expected at most " +
                     std::to_string(kMaxDimensions));
  }
  const auto offsets = sizes_of(member(info, "data_offsets", tensor, path), "data_offsets", tensor, path);
  if (offsets.size() != 2) {
    refuse(path, tensor + ": its data_offsets has " + std::to_string(offsets.size()) + " entries, expected begin and end");
  }
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  const std::string range = tensor + " lies at bytes " + std::to_string(entry.begin) + " to " + std::to_string(entry.end);
  if (entry.begin > entry.end) refuse(path, range + ": it ends before it begins");
  if (entry.end > data_size) {
    refuse(path, range + " but the data is only " + std::to_string(data_size) +
                     " bytes: the file is truncated or its header is wrong");
  }
  const auto bytes = bytes_of(entry.shape, entry.dtype->bytes);
  if (!bytes) refuse(path, tensor + ": its shape overflows, no file is that large");
  if (*bytes != entry.end - entry.begin) {
    refuse(path, range + ", which is " + std::to_string(entry.end - entry.begin) + " bytes, but its shape and dtype " +
                     entry.dtype->name + " need " + std::to_string(*bytes));
  }
  return entry;
}

// The format allows neither shared bytes nor gaps.
void check_cover(std::vector<Entry> entries, std::uint64_t data_size, const fs::path& path) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t covered = 0;
  for (const auto& entry : entries) {
    if (entry.begin != covered) {
      refuse(path, "tensor " + in_quotes(entry.name) + " begins at byte " + std::to_string(entry.begin) +
                       " but the tensors before it end at byte " + std::to_string(covered) +
                       (entry.begin < covered ? ": they overlap" : ": there is a gap"));
    }
    covered = entry.end;
  }
  if (covered != data_size) {
    refuse(path, "the tensors end at byte " + std::to_string(covered) + " but the data is " + std::to_string(data_size) +
                     " bytes: the header does not describe all of it");
  }
}

at::Tensor tensor_of(const Entry& entry, const std::shared_ptr<MappedFile>& file, std::uint64_t data_begin) {
  if (entry.begin == entry.end) return at::empty(entry.shape, entry.dtype->type);
  const unsigned char* const data = file->data() + data_begin + entry.begin;
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(entry.dtype->bytes) == 0) {
    return mapped_tensor(file, data, entry.shape, entry.dtype->type);
  }
  at::Tensor copy = at::empty(entry.shape, entry.dtype->type);
  std::memcpy(copy.data_ptr(), data, entry.end - entry.begin);
  return copy;
}

std::map<std::string, std::string> metadata_of(const Json& object, const fs::path& path) {
  if (!object.is_object()) refuse(path, "\"__metadata__\" is not an object, expected texts by name");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) refuse(path, "\"__metadata__\": the value of " + in_quotes(key) + " is not a text");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// The tensors as they are written: on the CPU, contiguous, the widest types first so that each is aligned, then by name.
std::vector<std::pair<std::string, at::Tensor>> in_file_order(const fs::path& path,
                                                              const std::map<std::string, at::Tensor>& tensors) {
  std::vector<std::pair<std::string, at::Tensor>> ordered;
  for (const auto& [name, tensor] : tensors) {
    const bool known =
        std::any_of(kDtypes.begin(), kDtypes.end(), [&](const Dtype& dtype) { return dtype.type == tensor.scalar_type(); });
    if (!known) refuse(path, "cannot write tensor " + in_quotes(name) + ": its type is not F32, F16, BF16 or I64");
    if (name == kMetadata) refuse(path, "cannot write a tensor named \"__metadata__\": the format reserves that name");
    ordered.emplace_back(name, tensor.detach().to(at::kCPU).contiguous());
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.second.element_size() > b.second.element_size(); });
  return ordered;
}

const char* dtype_name(at::ScalarType type) {
  return std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& dtype) { return dtype.type == type; })->name;
}

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  refuse_foreign(*file);
  const std::uint64_t length = header_length(*file);
  const std::uint64_t data_begin = 8 + length;
  const std::uint64_t data_size = file->size() - data_begin;
  const Json header = parse_header(*file, length);
  TensorFile result;
  std::vector<Entry> entries;
  for (const auto& [name, info] : header.items()) {
    if (name == kMetadata) {
      result.metadata = metadata_of(info, path);
    } else {
      entries.push_back(entry_of(name, info, data_size, path));
    }
  }
  check_cover(entries, data_size, path);
  for (const auto& entry : entries) result.tensors[entry.name] = tensor_of(entry, file, data_begin);
  return result;
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto ordered = in_file_order(path, tensors);
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::vector<std::string_view> pieces(2);
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : ordered) {
    const std::uint64_t end = offset + tensor.nbytes();
    header[name] = {
        {"dtype", dtype_name(tensor.scalar_type())}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    pieces.emplace_back(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
    offset = end;
  }
  std::string text = canonical(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  pieces[0] = {reinterpret_cast<const char*>(&length), 8};
  pieces[1] = text;
  write_file_pieces(path, pieces);
}

}  // namespace holdfast
