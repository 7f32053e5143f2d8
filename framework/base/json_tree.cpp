#include <holdfast/error.h>
#include <holdfast/json.h>

#include <cmath>

#include "base/json.h"
#include "base/untrusted.h"

namespace holdfast {
namespace {

constexpr int kDeepest = 100;
constexpr double kWholeNumbers = 9007199254740992;  // 2^53: up to it a double holds every whole number

JsonTree tree_of(const Json& json, int depth) {
  if (depth > kDeepest) throw Error("lists and objects lie in each other more than " + std::to_string(kDeepest) + " deep");
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number()) return {json.get<double>()};
  if (json.is_string()) return {json.get<std::string>()};
  if (json.is_array()) {
    JsonTree::List list;
    for (const auto& part : json) list.push_back(tree_of(part, depth + 1));
    return {std::move(list)};
  }
  if (json.is_object()) {
    JsonTree::Object object;
    for (const auto& [name, part] : json.items()) object.emplace(name, tree_of(part, depth + 1));
    return {std::move(object)};
  }
  return {};
}

Json json_of(const JsonTree& tree);

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool flag) const { return flag; }
  Json operator()(double number) const {
    const bool whole = std::trunc(number) == number && std::abs(number) <= kWholeNumbers;
    return whole ? Json(static_cast<std::int64_t>(number)) : Json(number);
  }
  Json operator()(const std::string& text) const { return text; }
  Json operator()(const JsonTree::List& list) const {
    Json json = Json::array();
    for (const auto& part : list) json.push_back(json_of(part));
    return json;
  }
  Json operator()(const JsonTree::Object& object) const {
    Json json = Json::object();
    for (const auto& [name, part] : object) json[name] = json_of(part);
    return json;
  }
};

Json json_of(const JsonTree& tree) { return std::visit(ToJson{}, tree.value); }

}  // namespace

JsonTree read_json(const std::string& text) {
  if (has_zero_byte(text)) throw Error("no JSON, for a zero byte stands in it");
  try {
    return tree_of(Json::parse(text), 0);
  } catch (const Json::parse_error& error) {
    throw Error("no JSON at character " + std::to_string(error.byte));
  }
}

std::string json_text(const JsonTree& tree) { return json_of(tree).dump(-1, ' ', true, Json::error_handler_t::replace); }

}  // namespace holdfast
