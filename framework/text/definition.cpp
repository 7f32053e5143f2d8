#include "text/definition.h"

#include <holdfast/error.h>

#include <utility>

#include "text/characters.h"

namespace holdfast {

namespace {
constexpr int kDeepestParts = 32;
}

Definition::Definition(const Json& json, std::string source, std::string place)
    : json_(&json), source_(std::move(source)), place_(std::move(place)) {}

bool Definition::has(const std::string& key) const {
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

const Json& Definition::member(const std::string& key) const {
  if (!json_->is_object()) fail(std::string("expected an object, found ") + json_->type_name());
  if (!has(key)) fail("the key \"" + key + "\" is missing");
  return *json_->find(key);
}

Definition Definition::at(const std::string& key) const { return nested(member(key), key); }

std::vector<Definition> Definition::items(const std::string& key) const {
  const Json& list = member(key);
  if (!list.is_array()) fail("\"" + key + "\": expected an array, found " + list.type_name());
  std::vector<Definition> result;
  for (std::size_t i = 0; i < list.size(); ++i) result.push_back(nested(list[i], key + "[" + std::to_string(i) + "]"));
  return result;
}

std::string Definition::string(const std::string& key) const {
  const Json& value = member(key);
  if (!value.is_string()) fail("\"" + key + "\": expected a string, found " + value.type_name());
  return value.get<std::string>();
}

std::string Definition::string(const std::string& key, const std::string& otherwise) const {
  return has(key) ? string(key) : otherwise;
}

bool Definition::boolean(const std::string& key, bool otherwise) const {
  if (!has(key)) return otherwise;
  const Json& value = member(key);
  if (!value.is_boolean()) fail("\"" + key + "\": expected true or false, found " + value.type_name());
  return value.get<bool>();
}

std::int64_t Definition::integer(const std::string& key) const {
  const Json& value = member(key);
  if (!value.is_number_integer()) fail("\"" + key + "\": expected an integer, found " + value.type_name());
  return value.get<std::int64_t>();
}

std::string Definition::character(const std::string& key) const {
  const std::string value = string(key);
  if (value.empty() || character_at(value, 0).size != value.size())
    fail("\"" + key + "\": expected one character, found \"" + value + "\"");
  return value;
}

std::string Definition::as_string() const {
  if (!json_->is_string()) fail(std::string("expected a string, found ") + json_->type_name());
  return json_->get<std::string>();
}

Definition Definition::nested(const Json& json, const std::string& place) const {
  Definition inner(json, source_, place_.empty() ? place : place_ + "." + place);
  inner.depth_ = depth_ + 1;
  if (inner.depth_ > kDeepestParts)
    throw Error(source_ + ": parts are nested more than " + std::to_string(kDeepestParts) + " deep");
  return inner;
}

void Definition::fail(const std::string& sentence) const {
  throw Error(source_ + ": " + (place_.empty() ? "" : place_ + ": ") + sentence);
}

void Definition::unsupported(std::string_view kind, std::string_view supported) const {
  throw Error(source_ + ": " + std::string(kind) + " type \"" + type() +
              "\" is not supported; supported: " + std::string(supported));
}

}  // namespace holdfast
