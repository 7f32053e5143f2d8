// TensorBoard's event files, read again byte by byte.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/crc32c.h"
#include "report/reporter.h"
#include "report/results_folder.h"
#include "results/curve.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::map<std::string, std::string> event_files(const fs::path& folder) {
  std::map<std::string, std::string> files;
  const auto& formats = report_formats();
  const auto format = std::find_if(formats.begin(), formats.end(), [](const auto& each) { return each.name == "tensorboard"; });
  format->make()->write(read_results(folder), {}, [&](const fs::path& name, const std::string& text) { files[name] = text; });
  return files;
}

template <typename T>
T fixed_at(const std::string& bytes, std::size_t place) {
  T value;
  std::memcpy(&value, bytes.substr(place, sizeof(T)).data(), sizeof(T));
  return value;
}

// Inverse of the mask: what a reader of records does.
std::uint32_t unmasked(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xA282EAD8U;
  return (rotated >> 17) | (rotated << 15);
}

std::vector<std::string> records(const std::string& file) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < file.size();) {
    const auto length = fixed_at<std::uint64_t>(file, at);
    EXPECT_EQ(unmasked(fixed_at<std::uint32_t>(file, at + 8)), crc32c(file.substr(at, 8)));
    all.push_back(file.substr(at + 12, length));
    EXPECT_EQ(unmasked(fixed_at<std::uint32_t>(file, at + 12 + length)), crc32c(all.back()));
    at += 16 + length;
  }
  return all;
}

// A message's fields, by number: those of text raw, numbers as doubles.
struct Field {
  std::string bytes;
  double number = 0;
};

std::multimap<int, Field> fields(const std::string& message) {
  std::multimap<int, Field> found;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const auto tag = varint();
    Field field;
    switch (tag & 7) {
      case 0:
        field.number = static_cast<double>(varint());
        break;
      case 1:
        field.number = fixed_at<double>(message, at);
        at += 8;
        break;
      case 2: {
        const auto size = varint();
        field.bytes = message.substr(at, size);
        at += size;
        break;
      }
      case 5:
        field.number = fixed_at<float>(message, at);
        at += 4;
        break;
      default:
        ADD_FAILURE() << "wire type " << (tag & 7);
        return found;
    }
    found.emplace(static_cast<int>(tag >> 3), field);
  }
  return found;
}

std::map<std::string, double> scalars(const std::string& event) {
  std::map<std::string, double> found;
  const std::string summary = fields(event).find(5)->second.bytes;
  for (const auto& [number, value] : fields(summary)) {
    EXPECT_EQ(number, 1);
    const auto parts = fields(value.bytes);
    found[parts.find(1)->second.bytes] = parts.find(2)->second.number;
  }
  return found;
}

Json trained_cell(const std::string& attack, const std::string& defense, const Json& stages) {
  Json row = cell("m", attack, defense, 1, {{"leak.organism", {0.5, 10}}});
  row["stages"] = stages;
  return row;
}

TEST(TensorBoard, HasAScalarOfEachFigureOfEachStep) {
  const ResultsFolder folder({trained_cell("none", "none", {{"align", "aa"}, {"generate", "gg"}}),
                              trained_cell("a/b", "none", {{"align", "aa"}, {"finetune", "ff"}})});
  fs::create_directories(folder.path() / "curves");
  write_curve(curve_file(folder.path(), "aa"), {{1, 2.5, 1e-3, 0.75, 12}, {200, 0.25, 5e-4, std::nan(""), 345}});
  write_curve(curve_file(folder.path(), "ff"), {{1, 1.5, 1e-4, 3, 7}});
  const auto files = event_files(folder.path());
  // A stage that cells share is the first one's; the second has its own.
  EXPECT_THAT(files, ElementsAre(Pair("m/a_b/none/seed-1/finetune/events.out.tfevents.0.holdfast", testing::_),
                                 Pair("m/none/none/seed-1/align/events.out.tfevents.0.holdfast", testing::_)));
  const auto events = records(files.at("m/none/none/seed-1/align/events.out.tfevents.0.holdfast"));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(fields(events[0]).find(3)->second.bytes, "brain.Event:2");
  EXPECT_EQ(fields(events[2]).find(2)->second.number, 200);
  EXPECT_EQ(fields(events[2]).find(1)->second.number, 200) << "no clock";
  EXPECT_THAT(scalars(events[1]),
              ElementsAre(Pair("gradient_norm", 0.75), Pair("learning_rate", 1e-3F), Pair("loss", 2.5), Pair("tokens", 12)));
  EXPECT_TRUE(std::isnan(scalars(events[2]).at("gradient_norm")));
  EXPECT_EQ(scalars(events[2]).at("tokens"), 345);
  EXPECT_EQ(event_files(folder.path()), files) << "the same rows, the same bytes";
}

TEST(TensorBoard, OfARunWithoutCurvesIsRefused) {
  const ResultsFolder folder(std::vector<Json>{trained_cell("none", "none", {{"align", "aa"}})});
  try {
    event_files(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("holds no training curve"));
  }
}

}  // namespace
}  // namespace holdfast
