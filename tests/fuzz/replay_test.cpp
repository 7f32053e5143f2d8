// Every seed and every input that once was a finding, through its target.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz/fuzz.h"

namespace holdfast::fuzz {
namespace {

const fs::path kFolder = fs::path(HOLDFAST_SOURCE_DIR) / "tests" / "fuzz";

std::vector<fs::path> inputs_of(const Target& target) {
  std::vector<fs::path> inputs;
  for (const char* kind : {"seeds", "found"}) {
    const fs::path folder = kFolder / kind / target.name;
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) inputs.push_back(entry.path());
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

TEST(Fuzz, SeedsAndFormerFindingsAreReadOrRefusedInASentence) {
  for (const Target& target : targets()) {
    const auto inputs = inputs_of(target);
    EXPECT_FALSE(inputs.empty()) << target.name;
    for (const auto& input : inputs) {
      const std::string content = read_file(input);
      EXPECT_NO_THROW(give(target, content)) << input;
    }
  }
}

TEST(Fuzz, EveryFolderHasItsTarget) {
  for (const char* kind : {"seeds", "found"}) {
    for (const auto& entry : fs::directory_iterator(kFolder / kind)) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(std::any_of(targets().begin(), targets().end(), [&](const Target& target) { return target.name == name; }))
          << entry.path();
    }
  }
}

}  // namespace
}  // namespace holdfast::fuzz
