#include "text/chat_template_nesting.h"

#include <utility>
#include <vector>

namespace holdfast {
namespace {

bool holds_values(const jinja::value& value) {
  return value != nullptr && (jinja::is_val<jinja::value_array>(value) || jinja::is_val<jinja::value_object>(value));
}

std::vector<jinja::value> inside(const jinja::value& value) {
  std::vector<jinja::value> found;
  if (jinja::is_val<jinja::value_array>(value)) {
    for (const auto& element : value->as_array()) {
      if (holds_values(element)) found.push_back(element);
    }
  } else {
    for (const auto& [key, element] : value->as_ordered_object()) {
      if (holds_values(key)) found.push_back(key);
      if (holds_values(element)) found.push_back(element);
    }
  }
  return found;
}

}  // namespace

std::string ValueNesting::keep(const jinja::value& holder, const jinja::value& added) {
  if (!holds_values(added)) return "";
  const auto of_holder = known_.find(holder.get());
  std::vector<std::pair<jinja::value, int>> open{{added, of_holder == known_.end() ? 1 : of_holder->second.depth + 1}};
  while (!open.empty()) {
    const auto [value, depth] = std::move(open.back());
    open.pop_back();
    if (value == holder) return "it puts a list or an object into itself";
    if (depth > kDeepest) return "it puts lists or objects into each other more than " + std::to_string(kDeepest) + " deep";
    const auto [place, is_new] = known_.try_emplace(value.get(), Known{value, depth});
    // As deep before: so is all below it, and the holder, which is less deep, is not there.
    if (!is_new && place->second.depth >= depth) continue;
    place->second.depth = depth;
    for (auto& part : inside(value)) open.emplace_back(std::move(part), depth + 1);
  }
  return "";
}

}  // namespace holdfast
