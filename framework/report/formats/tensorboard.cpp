// Training curves as TensorBoard event files: a run folder a training stage, a scalar a figure of the curve.
//
// An event file is a sequence of records (TFRecord): the length of the data as 64 bits, its checksum, the data, its checksum,
// all little endian. The data is an Event in protobuf's wire format, of which four fields are written:
//   Event   1 wall_time (double), 2 step (varint), 3 file_version (text), 5 summary (message)
//   Summary 1 value (message) with 1 tag (text) and 2 simple_value (float)
#include <holdfast/error.h>

#include <bit>
#include <set>

#include "base/crc32c.h"
#include "report/file_names.h"
#include "report/reporter.h"
#include "results/curve.h"

namespace holdfast {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed fields are written as they lie in memory");

enum WireType { kVarint = 0, kFixed64 = 1, kText = 2, kFixed32 = 5 };

template <typename T>
std::string fixed_bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}

std::string tagged(int field, WireType type, const std::string& bytes) {
  return varint(static_cast<std::uint64_t>(field) << 3 | type) + bytes;
}

std::string text(int field, const std::string& content) { return tagged(field, kText, varint(content.size()) + content); }

// TFRecord's checksum: rotated and moved, so that a file of records may hold a record of checksums.
std::string masked_crc(const std::string& bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return fixed_bytes<std::uint32_t>(((crc >> 15) | (crc << 17)) + 0xA282EAD8U);
}

std::string record(const std::string& data) {
  const std::string length = fixed_bytes<std::uint64_t>(data.size());
  return length + masked_crc(length) + data + masked_crc(data);
}

// No clock: the same curve gives the same bytes, so a step stands one second after the one before it.
std::string event(std::int64_t step, const std::string& rest) {
  return record(tagged(1, kFixed64, fixed_bytes(static_cast<double>(step))) +
                tagged(2, kVarint, varint(static_cast<std::uint64_t>(step))) + rest);
}

std::string scalar(const std::string& tag, double value) {
  return text(1, text(1, tag) + tagged(2, kFixed32, fixed_bytes(static_cast<float>(value))));
}

std::string event_file(const std::vector<CurvePoint>& curve) {
  std::string file = event(0, text(3, "brain.Event:2"));
  for (const auto& point : curve) {
    const std::string summary = scalar("loss", point.loss) + scalar("learning_rate", point.lr) +
                                scalar("gradient_norm", point.gradient_norm) +
                                scalar("tokens", static_cast<double>(point.tokens));
    file += event(point.step, text(5, summary));
  }
  return file;
}

class TensorBoardReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView&, const ReportSink& sink) const override {
    std::set<std::string> written;  // keys: cells share stages, and the first of them has the run folder
    bool any = false;
    for (const auto& cells : results.groups) {
      for (const auto& row : cells.rows) {
        for (const auto& [stage, key] : row.stages) {
          if (!written.insert(key).second) continue;
          const auto curve = read_curve(curve_file(row.folder, key));
          if (curve.empty()) continue;
          any = true;
          sink(cell_folder(cells.model, cells.attack, cells.defense) / ("seed-" + std::to_string(row.seed)) / as_folder(stage) /
                   "events.out.tfevents.0.holdfast",
               event_file(curve));
        }
      }
    }
    if (!any) {
      throw Error(results.folders.front().string() +
                  " holds no training curve (curves/): no stage of its cells was trained, or all were by a version that kept "
                  "none; run its scenario again with an empty store");
    }
  }
};

}  // namespace

std::unique_ptr<Reporter> make_tensorboard_reporter() { return std::make_unique<TensorBoardReporter>(); }

}  // namespace holdfast
