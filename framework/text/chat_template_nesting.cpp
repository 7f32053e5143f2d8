#include "text/chat_template_nesting.h"

#include <utility>
#include <vector>

namespace holdfast {
namespace {

// What a value holds directly: also what a method is bound to, and what stands behind a name in a call.
std::vector<jinja::value> all_inside(const jinja::value& value) {
  if (jinja::is_val<jinja::value_array>(value)) return value->as_array();
  if (jinja::is_val<jinja::value_func>(value)) return {jinja::cast_val<jinja::value_func>(value)->arg0};
  if (jinja::is_val<jinja::value_kwarg>(value)) return {jinja::cast_val<jinja::value_kwarg>(value)->val};
  std::vector<jinja::value> found;
  if (jinja::is_val<jinja::value_object>(value)) {
    for (const auto& [key, element] : value->as_ordered_object()) found.insert(found.end(), {key, element});
  }
  return found;
}

bool holds_values(const jinja::value& value) {
  return value != nullptr && (jinja::is_val<jinja::value_array>(value) || jinja::is_val<jinja::value_object>(value) ||
                              jinja::is_val<jinja::value_func>(value) || jinja::is_val<jinja::value_kwarg>(value));
}

// The block of a call holds the names around it, where nobody can look.
bool is_caller(const jinja::value& value) {
  return jinja::is_val<jinja::value_func>(value) && jinja::cast_val<jinja::value_func>(value)->name == "caller";
}

}  // namespace

std::string ValueNesting::keep(const jinja::value& holder, const jinja::value& added) {
  if (!holds_values(added)) return "";
  const auto of_holder = known_.find(holder.get());
  std::vector<std::pair<jinja::value, int>> open{{added, of_holder == known_.end() ? 1 : of_holder->second.depth + 1}};
  while (!open.empty()) {
    const auto [value, depth] = std::move(open.back());
    open.pop_back();
    if (is_caller(value)) return "it keeps the block of a call";
    if (value == holder) return "it puts a list or an object into itself";
    if (depth > kDeepest) return "it puts lists or objects into each other more than " + std::to_string(kDeepest) + " deep";
    const auto [place, is_new] = known_.try_emplace(value.get(), Known{value, depth});
    // As deep before: so is all below it, and the holder, which is less deep, is not there.
    if (!is_new && place->second.depth >= depth) continue;
    place->second.depth = depth;
    for (auto& part : all_inside(value)) {
      if (holds_values(part)) open.emplace_back(std::move(part), depth + 1);
    }
  }
  return "";
}

}  // namespace holdfast
