#include "base/foreign.h"

#include <algorithm>
#include <cctype>

namespace holdfast {
namespace {

struct Kind {
  std::string_view begin;  // lower case for texts
  const char* name;
  bool text;  // white space before it and letter case do not matter
};

constexpr const char* kPickle = "pickled Python objects, which are never read: save it again as safetensors";
constexpr const char* kPage = "a web page, most likely an error message in place of the download: download the file again";
constexpr Kind kKinds[] = {
    {"version https://git-lfs.github.com/spec/",
     "a Git LFS pointer, which stands for the file where git-lfs was not at work: run \"git lfs pull\" or download the file",
     true},
    {"<!doctype html", kPage, true},
    {"<html", kPage, true},
    {"<?xml", "an XML text, most likely an error message in place of the download: download the file again", true},
    {"gguf", "a GGUF file: name it itself as the model", true},
    {"pk\x03\x04", "a zip archive, as PyTorch writes pickled weights, which are never read: save it again as safetensors",
     true},
    {"\x80\x02", kPickle, false},
    {"\x80\x03", kPickle, false},
    {"\x80\x04", kPickle, false},
    {"\x80\x05", kPickle, false},
    {"\x1f\x8b", "compressed with gzip: unpack it", false},
    {"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it", false},
    {"\x89HDF", "an HDF5 file, as Keras writes weights: save it again as safetensors", false},
};

}  // namespace

std::string foreign_content(std::string_view content) {
  const auto first = content.find_first_not_of(" \t\r\n");
  for (const Kind& kind : kKinds) {
    std::string head(content.substr(kind.text && first != std::string_view::npos ? first : 0, kind.begin.size()));
    if (kind.text) std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
    if (head == kind.begin) return kind.name;
  }
  return "";
}

}  // namespace holdfast
