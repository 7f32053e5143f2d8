// Every seed, every input that once was a finding, and what comes of both by a few blind changes, through its target.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
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

// Draws the same on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t count) { return count == 0 ? 0 : static_cast<std::size_t>(engine_() % count); }
  char byte() { return static_cast<char>(engine_() & 0xFF); }

 private:
  std::mt19937_64 engine_;
};

constexpr std::size_t kLongest = 4096;
constexpr std::string_view kSigns = "0123456789-+.eE\"'{}[](),:%\\\n";  // what formats are written with

std::string piece_of(const std::string& text, Dice& dice) {
  const std::size_t begin = dice.below(text.size());
  return text.substr(begin, 1 + dice.below(std::min<std::size_t>(64, text.size() - begin)));
}

// One blind change; `other`: an input that pieces may come from.
void change(std::string& input, const std::string& other, Dice& dice) {
  const std::size_t place = dice.below(input.size());
  switch (dice.below(6)) {
    case 0:
      if (!input.empty()) input[place] = static_cast<char>(input[place] ^ (1 << dice.below(8)));
      break;
    case 1:
      if (!input.empty()) input[place] = dice.byte();
      break;
    case 2:
      input.erase(place, 1 + dice.below(32));
      break;
    case 3:
      if (!input.empty()) input.insert(place, piece_of(input, dice));
      break;
    case 4:
      if (!other.empty()) input.insert(place, piece_of(other, dice));
      break;
    default:
      input.insert(place, 1, kSigns[dice.below(kSigns.size())]);
  }
  input.resize(std::min(input.size(), kLongest));
}

TEST(Fuzz, ChangedInputsAreReadOrRefusedInASentence) {
  constexpr int inputs_of_each = 10000;
  for (const Target& target : targets()) {
    std::vector<std::string> known;
    for (const auto& path : inputs_of(target)) known.push_back(read_file(path).substr(0, kLongest));
    Dice dice(1);
    for (int n = 0; n < inputs_of_each; ++n) {
      std::string input = known[dice.below(known.size())];
      for (std::size_t changes = 1 + dice.below(4); changes > 0; --changes)
        change(input, known[dice.below(known.size())], dice);
      EXPECT_NO_THROW(give(target, input)) << target.name << ", input " << n;
    }
  }
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
