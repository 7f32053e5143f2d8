#include "results/curve.h"

#include <holdfast/error.h>

#include <limits>

#include "base/json.h"

namespace holdfast {
namespace {

double number(const Json& json) { return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>(); }

CurvePoint curve_point(const Json& json, const std::string& place) {
  try {
    return {json.at("step"), number(json.at("loss")), number(json.at("lr")), number(json.at("gradient_norm")),
            json.at("tokens")};
  } catch (const Json::exception&) {
    throw Error(place + " is no step of a training: expected \"step\", \"loss\", \"lr\", \"gradient_norm\" and \"tokens\"");
  }
}

}  // namespace

fs::path curve_file(const fs::path& results_folder, const std::string& stage_key) {
  return results_folder / "curves" / (stage_key + ".jsonl");
}

void write_curve(const fs::path& path, const std::vector<CurvePoint>& curve) {
  std::string text;
  for (const auto& point : curve) {
    text += canonical({{"step", point.step},
                       {"loss", point.loss},
                       {"lr", point.lr},
                       {"gradient_norm", point.gradient_norm},
                       {"tokens", point.tokens}}) +
            "\n";
  }
  write_file(path, text);
}

std::vector<CurvePoint> read_curve(const fs::path& path) {
  std::vector<CurvePoint> curve;
  if (!fs::exists(path)) return curve;
  read_jsonl(path, [&](const Json& json, std::int64_t line) {
    curve.push_back(curve_point(json, path.string() + ":" + std::to_string(line)));
  });
  return curve;
}

}  // namespace holdfast
