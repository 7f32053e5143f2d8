#include "model/fields.h"

#include <holdfast/error.h>

#include "base/untrusted.h"

namespace holdfast {

Fields::Fields(Json values, std::string prefix, std::string source)
    : values_(std::move(values)), prefix_(std::move(prefix)), source_(std::move(source)) {}

bool Fields::has(const std::string& name) const {
  return values_.contains(prefix_ + name) && !values_[prefix_ + name].is_null();
}

const Json& Fields::need(const std::string& name) const {
  if (!has(name)) throw Error(source_ + " lacks \"" + prefix_ + name + "\"");
  return values_[prefix_ + name];
}

std::int64_t Fields::count(const std::string& name) const {
  // The bound keeps products of sizes far from overflow; no real model comes near it.
  return count_up_to(1 << 28, name);
}

std::int64_t Fields::count_up_to(std::int64_t most, const std::string& name) const {
  const Json& value = need(name);
  if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > most) {
    throw Error(source_ + ": \"" + prefix_ + name + "\" is " + in_short(value) + ", expected a positive integer of at most " +
                std::to_string(most));
  }
  return value.get<std::int64_t>();
}

std::int64_t Fields::count(const std::string& name, std::int64_t fallback) const { return has(name) ? count(name) : fallback; }

double Fields::positive(const std::string& name) const {
  const Json& value = need(name);
  if (!value.is_number() || !(value.get<double>() > 0)) {
    throw Error(source_ + ": \"" + prefix_ + name + "\" is " + in_short(value) + ", expected a positive number");
  }
  return value.get<double>();
}

double Fields::positive(const std::string& name, double fallback) const { return has(name) ? positive(name) : fallback; }

double Fields::positive_or_none(const std::string& name, double fallback) const {
  return values_.contains(prefix_ + name) && !has(name) ? 0 : positive(name, fallback);
}

std::string Fields::text(const std::string& name, const std::string& fallback) const {
  if (!has(name)) return fallback;
  if (!need(name).is_string()) throw Error(source_ + ": \"" + prefix_ + name + "\" is not a text");
  return need(name).get<std::string>();
}

bool Fields::flag(const std::string& name, bool fallback) const {
  if (!has(name)) return fallback;
  if (!need(name).is_boolean()) throw Error(source_ + ": \"" + prefix_ + name + "\" is not true or false");
  return need(name).get<bool>();
}

}  // namespace holdfast
