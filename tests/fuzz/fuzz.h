// What the fuzz targets share. Each is a file that gives an input to one parser, the way the program does.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace holdfast::fuzz {

struct Target {
  const char* name;  // of its folders below seeds/ and found/
  void (*read)(std::string_view input);
};

/// The targets that are linked into this program: one for libFuzzer, all of them for the replay.
std::vector<Target>& targets();

/// Adds a target before main() begins.
struct Added {
  Added(const char* name, void (*read)(std::string_view)) { targets().push_back({name, read}); }
};

/// Gives the input to the target. An Error is an answer; whatever else leaves the parser leaves this too.
void give(const Target& target, std::string_view input);

/// The input as a file in memory, for parsers that read files; the next input takes its place.
const fs::path& as_file(std::string_view input);

/// Does what no input that was read before may make impossible: an Error from there is a finding.
void must(const std::function<void()>& action);

/// For what must hold of every input that a parser takes: throws std::logic_error, which is a finding.
void expect(bool holds, const char* what);

}  // namespace holdfast::fuzz
