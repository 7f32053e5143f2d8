// JSON objects of stages whose values many stages share.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// The canonical JSON of a value, one copy of it however many stages have it.
using SharedText = std::shared_ptr<const std::string>;

/// Makes shared texts. Equal values of one pool are one pointer.
class TextPool {
 public:
  SharedText of(const Json& value) { return of_text(canonical(value)); }
  /// Of a canonical JSON text.
  SharedText of_text(std::string text);

 private:
  struct Hash {
    std::size_t operator()(const SharedText& text) const { return std::hash<std::string>()(*text); }
  };
  struct Equal {
    bool operator()(const SharedText& a, const SharedText& b) const { return *a == *b; }
  };
  std::unordered_set<SharedText, Hash, Equal> texts_;
};

/// A JSON object. A matrix has many stages and few distinct settings, so an object is no more than a list of shared values; it
/// is written out when it is hashed and when a worker gets it.
class StageDocument {
 public:
  /// `name` lives as long as the program, and needs no escapes.
  void set(std::string_view name, SharedText value);
  void erase(std::string_view name);
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// The canonical JSON of that field, or null.
  const std::string* find(std::string_view name) const;

  /// The object's canonical JSON.
  std::string text() const;
  Json json() const { return Json::parse(text()); }

  /// Of the values' pointers: for documents whose values are of one pool.
  std::size_t hash() const;
  bool operator==(const StageDocument& other) const { return fields_ == other.fields_; }

 private:
  std::vector<std::pair<std::string_view, SharedText>> fields_;  // by name
};

}  // namespace holdfast
