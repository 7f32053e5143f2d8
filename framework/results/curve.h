// The curve of a training: a line an optimizer step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct CurvePoint {
  std::int64_t step = 0;     // from 1
  double loss = 0;           // nats a learned token
  double lr = 0;             // learning rate
  double gradient_norm = 0;  // before clipping
  std::int64_t tokens = 0;   // of the step's batch that were trained on
};

/// In the artifact of a stage that trains.
inline constexpr const char* kCurveFile = "curve.jsonl";
/// <results folder>/curves/<key>.jsonl.
fs::path curve_file(const fs::path& results_folder, const std::string& stage_key);

void write_curve(const fs::path& path, const std::vector<CurvePoint>& curve);
/// Empty when there is no such file. A figure that was not finite is read as NaN. Throws Error naming the line that is none.
std::vector<CurvePoint> read_curve(const fs::path& path);

}  // namespace holdfast
