#include "store/kept_numbers.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/digest.h"

namespace holdfast {
namespace {

std::optional<std::vector<double>> read(const fs::path& file) {
  if (!fs::exists(file)) return std::nullopt;
  try {
    const Json kept = parse_json(read_file(file), file.string());
    if (kept.at("sha256") != sha256(canonical(kept.at("numbers")))) throw Error(file.string() + " does not have its SHA-256");
    return kept.at("numbers").get<std::vector<double>>();
  } catch (const std::exception& damage) {
    log_warning("kept numbers are damaged and will be found again: " + std::string(damage.what()));
    return std::nullopt;
  }
}

}  // namespace

std::vector<double> KeptNumbers::get(const Json& what, const std::function<std::vector<double>()>& find) const {
  const fs::path file = folder_ / (sha256(canonical(what)) + ".json");
  if (auto kept = read(file)) return std::move(*kept);
  std::vector<double> numbers = find();
  if (!std::all_of(numbers.begin(), numbers.end(), [](double number) { return std::isfinite(number); })) return numbers;
  fs::create_directories(folder_);
  write_file(file, Json({{"numbers", numbers}, {"sha256", sha256(canonical(Json(numbers)))}}).dump() + "\n");
  return numbers;
}

}  // namespace holdfast
