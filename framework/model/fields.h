// Members of config.json or of GGUF metadata, checked for presence, type and sense.
#pragma once

#include <string>

#include "base/json.h"

namespace holdfast {

/// The most layers of a model: what is known of each stands in a list.
inline constexpr std::int64_t kMostLayers = 4096;

/// Every error names the source and the member. A member that is null counts as absent.
class Fields {
 public:
  Fields(Json values, std::string prefix, std::string source);

  const std::string& prefix() const { return prefix_; }
  bool has(const std::string& name) const;
  const Json& need(const std::string& name) const;
  std::int64_t count(const std::string& name) const;
  std::int64_t count(const std::string& name, std::int64_t fallback) const;
  std::int64_t count_up_to(std::int64_t most, const std::string& name) const;
  double positive(const std::string& name) const;
  double positive(const std::string& name, double fallback) const;
  /// 0 for a null, which here says "none"; `fallback` when there is no such member.
  double positive_or_none(const std::string& name, double fallback) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  bool flag(const std::string& name, bool fallback) const;

 private:
  Json values_;
  std::string prefix_, source_;
};

}  // namespace holdfast
