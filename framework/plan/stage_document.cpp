#include "plan/stage_document.h"

#include <algorithm>

#include "base/mix_hash.h"

namespace holdfast {
namespace {

constexpr auto kBefore = [](const auto& field, std::string_view name) { return field.first < name; };

}  // namespace

SharedText TextPool::of_text(std::string text) {
  return *texts_.insert(std::make_shared<const std::string>(std::move(text))).first;
}

void StageDocument::set(std::string_view name, SharedText value) {
  const auto place = std::lower_bound(fields_.begin(), fields_.end(), name, kBefore);
  if (place != fields_.end() && place->first == name) {
    place->second = std::move(value);
  } else {
    fields_.emplace(place, name, std::move(value));
  }
}

void StageDocument::erase(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return field.first == name; });
}

const std::string* StageDocument::find(std::string_view name) const {
  const auto place = std::lower_bound(fields_.begin(), fields_.end(), name, kBefore);
  return place != fields_.end() && place->first == name ? place->second.get() : nullptr;
}

std::string StageDocument::text() const {
  std::string text = "{";
  for (const auto& [name, value] : fields_) {
    if (text.size() > 1) text += ',';
    text.append(1, '"').append(name).append("\":").append(*value);
  }
  return text += '}';
}

std::size_t StageDocument::hash() const {
  std::size_t hash = fields_.size();
  for (const auto& [name, value] : fields_) mix_hash(hash, value.get());
  return hash;
}

}  // namespace holdfast
