#include "service/request_fields.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "base/untrusted.h"
#include "data/row_file.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostPairs = 16, kLongestKey = 64, kLongestValue = 512;

std::string number_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

// Beyond the range of std::int64_t, or with a fraction: nothing.
std::optional<std::int64_t> integer_in(const Json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<std::int64_t>();
}

}  // namespace

RequestFields::RequestFields(const Json& object, std::string place) : object_(object), place_(std::move(place)) {}

const Json* RequestFields::find(const std::string& name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool RequestFields::has(const std::string& name) const { return object_.contains(name) && !object_.at(name).is_null(); }

void RequestFields::wrong(const std::string& name, const std::string& expected) const {
  throw wrong_field(path(name), "\"" + path(name) + "\" is " + in_short(object_.at(name)) + ", expected " + expected);
}

std::string RequestFields::text(const std::string& name, const std::string& fallback, std::size_t longest) {
  const Json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_string()) wrong(name, "a text");
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > longest) wrong(name, "a text of at most " + std::to_string(longest) + " bytes");
  return text;
}

std::string RequestFields::required_text(const std::string& name, std::size_t longest) {
  const std::string value = text(name, "", longest);
  if (!has(name)) throw wrong_field(path(name), "the request has no \"" + path(name) + "\", expected a text", "missing_field");
  if (value.empty()) wrong(name, "a text that is not empty");
  return value;
}

std::optional<std::int64_t> RequestFields::integer(const std::string& name, std::int64_t low, std::int64_t high) {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  const auto value = integer_in(*found);
  if (!value || *value < low || *value > high) {
    wrong(name, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

std::optional<double> RequestFields::number(const std::string& name, double low, double high) {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : NAN;
  if (!(value >= low && value <= high)) wrong(name, "a number from " + number_text(low) + " to " + number_text(high));
  return value;
}

bool RequestFields::flag(const std::string& name, bool fallback) {
  const Json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_boolean()) wrong(name, "true or false");
  return found->get<bool>();
}

const Json& RequestFields::value(const std::string& name) {
  static const Json kNone;
  const Json* found = find(name);
  return found == nullptr ? kNone : *found;
}

const Json& RequestFields::list(const std::string& name) {
  static const Json kEmpty = Json::array();
  const Json* found = find(name);
  if (found == nullptr) return kEmpty;
  if (!found->is_array()) wrong(name, "a list");
  return *found;
}

std::optional<RequestFields> RequestFields::object(const std::string& name) {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_object()) wrong(name, "an object");
  return RequestFields(*found, path(name) + ".");
}

bool RequestFields::is(const std::string& name, const std::string& text) const {
  return has(name) && object_.at(name).is_string() && object_.at(name).get_ref<const std::string&>() == text;
}

void RequestFields::refuse(const std::string& name, const std::vector<Json>& harmless, const std::string& reason) {
  const Json* found = find(name);
  if (found == nullptr || std::count(harmless.begin(), harmless.end(), *found) > 0) return;
  throw wrong_field(path(name), "\"" + path(name) + "\" is not served here: " + reason, "unsupported_parameter");
}

void RequestFields::finish() const {
  for (const auto& [name, value] : object_.items()) {
    if (known_.contains(name)) continue;
    const std::string field = path(name).substr(0, 200);
    throw wrong_field(field, "the request has the field " + in_quotes(field) + ", which is not known here: leave it out",
                      "unknown_parameter");
  }
}

Json read_metadata(RequestFields& fields) {
  const Json& given = fields.value("metadata");
  if (given.is_null()) return given;
  const auto fits = [](const auto& pair) {
    return pair.value().is_string() && pair.key().size() <= kLongestKey &&
           pair.value().template get_ref<const std::string&>().size() <= kLongestValue;
  };
  bool right = given.is_object() && given.size() <= kMostPairs;
  if (right) {
    for (const auto& pair : given.items()) right = right && fits(pair);
  }
  if (!right) {
    fields.wrong("metadata",
                 "an object of at most 16 pairs whose keys have at most 64 and whose values, texts, at most 512 bytes");
  }
  return given;
}

Json parse_body(const std::string& text) {
  Json body;
  try {
    body = parse_row(text, "the body of the request");
  } catch (const Error& error) {
    throw ApiError{.message = error.what(), .code = "invalid_json"};
  }
  if (!body.is_object()) throw ApiError{.message = "the body of the request is no JSON object", .code = "invalid_json"};
  return body;
}

}  // namespace holdfast
