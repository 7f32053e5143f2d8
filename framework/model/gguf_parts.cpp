#include "model/gguf_parts.h"

#include <holdfast/error.h>

#include <regex>

#include "base/untrusted.h"

namespace holdfast {
namespace {

// What a file's name says of its place among parts; 1 of 1 for an ordinary name.
struct Place {
  int number = 1, count = 1;
  std::string stem;
};

Place place_of(const fs::path& path) {
  static const std::regex pattern("(.*)-([0-9]{5})-of-([0-9]{5})\\.gguf");
  std::smatch match;
  const std::string name = path.filename().string();
  if (!std::regex_match(name, match, pattern)) return {};
  return {std::stoi(match[2]), std::stoi(match[3]), match[1]};
}

fs::path part(const fs::path& path, const Place& place, int number) {
  const auto digits = [](int value) {
    const std::string text = std::to_string(value);
    return std::string(5 - text.size(), '0') + text;
  };
  return path.parent_path() / (place.stem + "-" + digits(number) + "-of-" + digits(place.count) + ".gguf");
}

std::int64_t number_in(const GgufFile& file, const char* key, std::int64_t fallback, const fs::path& path) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return fallback;
  if (!found->second.is_number_integer()) {
    throw Error(path.string() + ": \"" + key + "\" is " + in_short(found->second) + ", expected an integer");
  }
  return found->second.get<std::int64_t>();
}

// What the file itself says must be what its name says: names are how the parts are found.
void check_place(const GgufFile& file, const fs::path& path, int number, int count) {
  const std::int64_t parts = number_in(file, "split.count", 1, path), index = number_in(file, "split.no", 0, path);
  if (parts == count && index + 1 == number) return;
  throw Error(path.string() + " says that it is part " + std::to_string(index + 1) + " of " + std::to_string(parts) +
              ", expected part " + std::to_string(number) + " of " + std::to_string(count) +
              ": parts must keep the names that llama-gguf-split gave them (NAME-00001-of-" + "0000N.gguf), side by side");
}

}  // namespace

std::vector<fs::path> gguf_files(const fs::path& path) {
  const Place place = place_of(path);
  if (place.count < 2) return {path};
  if (place.number != 1) {
    throw Error(path.string() + " is part " + std::to_string(place.number) + " of " + std::to_string(place.count) +
                " of a model: name the first part, " + part(path, place, 1).string());
  }
  std::vector<fs::path> files;
  for (int number = 1; number <= place.count; ++number) {
    files.push_back(part(path, place, number));
    if (fs::exists(files.back())) continue;
    throw Error(path.string() + " is the first of " + std::to_string(place.count) + " parts of a model, and " +
                files.back().filename().string() + " is not beside it");
  }
  return files;
}

GgufFile read_gguf(const fs::path& path) {
  const auto files = gguf_files(path);
  const int count = static_cast<int>(files.size());
  GgufFile model(path);
  check_place(model, path, 1, count);
  for (int number = 2; number <= count; ++number) {
    const fs::path& file = files[static_cast<std::size_t>(number - 1)];
    const GgufFile next(file);
    check_place(next, file, number, count);
    model.take_tensors(next);
  }
  const auto found = static_cast<std::int64_t>(model.tensor_names().size());
  const std::int64_t expected = number_in(model, "split.tensors.count", found, path);
  if (found != expected) {
    throw Error(path.string() + ": its " + std::to_string(count) + " parts hold " + std::to_string(found) +
                " tensors, expected the " + std::to_string(expected) + " of \"split.tensors.count\"");
  }
  return model;
}

}  // namespace holdfast
