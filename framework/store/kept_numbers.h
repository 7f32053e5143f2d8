// Numbers that stages derive from a model, take long to find, and are kept beside the store's artifacts.
#pragma once

#include <functional>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// <folder>/<SHA-256 of what they are>.json each. They are no artifacts: whoever lacks them finds them again.
class KeptNumbers {
 public:
  explicit KeptNumbers(fs::path folder) : folder_(std::move(folder)) {}

  /// The numbers that `what` decides: those kept, or what `find` gives, which are kept from then on. A damaged file is replaced
  /// with a warning; numbers of which one is not finite are not kept. Two processes may find the same at once.
  std::vector<double> get(const Json& what, const std::function<std::vector<double>()>& find) const;

 private:
  fs::path folder_;
};

}  // namespace holdfast
