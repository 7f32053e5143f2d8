#include "data/text_file.h"

#include <holdfast/error.h>
#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kGzip = "\x1f\x8b"sv;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf"sv;

struct Foreign {
  std::string_view begins;
  const char* what;
  const char* remedy;
};

constexpr const char* kUnpack = "unpack it first";
constexpr const char* kToJson =
    "write it as JSON lines first (datasets: to_json, pandas: to_json(lines=True, orient=\"records\"))";
constexpr const char* kToUtf8 = "write it in UTF-8 first (iconv -t UTF-8)";

// The longer of two marks that begin alike comes first.
constexpr Foreign kForeign[] = {
    {"PAR1"sv, "a Parquet table", kToJson},
    {"ARROW1"sv, "an Arrow table", kToJson},
    {"\xff\xff\xff\xff"sv, "an Arrow stream", kToJson},
    {"Obj\x01"sv, "an Avro table", kToJson},
    {"ORC"sv, "an ORC table", kToJson},
    {"SQLite format 3"sv, "an SQLite database", kToJson},
    {"\x89HDF"sv, "an HDF5 file", kToJson},
    {"\x93NUMPY"sv, "a NumPy array", kToJson},
    {"PK\x03\x04"sv, "a zip archive (or a spreadsheet)", kUnpack},
    {"\x28\xb5\x2f\xfd"sv, "compressed by zstd", kUnpack},
    {"\xfd\x37zXZ"sv, "compressed by xz", kUnpack},
    {"BZh"sv, "compressed by bzip2", kUnpack},
    {"\x04\x22\x4d\x18"sv, "compressed by lz4", kUnpack},
    {"7z\xbc\xaf"sv, "a 7z archive", kUnpack},
    {"version https://git-lfs"sv, "a Git LFS pointer and not the file itself", "fetch it first (git lfs pull)"},
    {"\xff\xfe\x00\x00"sv, "UTF-32", kToUtf8},
    {"\x00\x00\xfe\xff"sv, "UTF-32", kToUtf8},
    {"\xff\xfe"sv, "UTF-16", kToUtf8},
    {"\xfe\xff"sv, "UTF-16", kToUtf8},
};

[[noreturn]] void refuse(const fs::path& path, const std::string& found, const std::string& remedy) {
  throw Error(path.string() + " is " + found +
              ", expected rows as JSON or CSV in UTF-8, plain or compressed by gzip: " + remedy);
}

std::string unpacked(const std::string& packed, const fs::path& path) {
  z_stream stream{};
  constexpr int kGzipOnly = 15 + 16;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw Error("cannot unpack " + path.string() + ": zlib does not start");
  struct End {
    z_stream& stream;
    ~End() { inflateEnd(&stream); }
  } end{stream};
  std::string text, piece(1 << 16, '\0');
  std::size_t read = 0;
  int state = Z_OK;
  while (read < packed.size() || (state != Z_STREAM_END && stream.avail_out == 0)) {
    if (state == Z_STREAM_END) inflateReset(&stream);  // a gzip file may have several members
    const std::size_t left = std::min<std::size_t>(packed.size() - read, 1 << 20);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + read));
    stream.avail_in = static_cast<uInt>(left);
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    read += left - stream.avail_in;
    if (state != Z_OK && state != Z_STREAM_END) break;
    text.append(piece, 0, piece.size() - stream.avail_out);
  }
  if (state != Z_STREAM_END) refuse(path, "compressed by gzip and damaged or cut off", "bring the whole file");
  return text;
}

// Every other byte of plain English in UTF-16 is zero.
bool looks_like_utf16(const std::string& text) {
  const std::string_view begin = std::string_view(text).substr(0, 400);
  return std::count(begin.begin(), begin.end(), '\0') * 4 > static_cast<std::ptrdiff_t>(begin.size());
}

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

void check_utf8(const std::string& text, const fs::path& path) {
  if (is_utf8(text)) return;
  std::istringstream lines(text);
  std::int64_t number = 1;
  for (std::string line; std::getline(lines, line) && is_utf8(line);) ++number;
  refuse(path, "not UTF-8 (first in line " + std::to_string(number) + ")",
         "it may be Latin-1 or Windows-1252, which \"iconv -f WINDOWS-1252 -t UTF-8\" turns into UTF-8");
}

}  // namespace

std::string read_text_file(const fs::path& path) {
  std::string text = read_file(path);
  if (text.starts_with(kGzip)) text = unpacked(text, path);
  for (const auto& form : kForeign) {
    if (text.starts_with(form.begins)) refuse(path, form.what, form.remedy);
  }
  if (looks_like_utf16(text)) refuse(path, "UTF-16 or binary", kToUtf8);
  check_utf8(text, path);
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

}  // namespace holdfast
