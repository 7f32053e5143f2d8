#include "work/network_need.h"

#include <algorithm>

namespace holdfast {
namespace {

bool names_url(const Json& settings) {
  if (settings.is_string()) {
    const auto& text = settings.get_ref<const std::string&>();
    return text.starts_with("http://") || text.starts_with("https://");
  }
  return settings.is_structured() && std::any_of(settings.begin(), settings.end(), names_url);
}

}  // namespace

bool needs_network(const StageRequest& request) { return names_url(request.task); }

}  // namespace holdfast
