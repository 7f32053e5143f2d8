// The fields of a request, each read or refused by name: nothing that a customer says is passed over.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "service/api_error.h"

namespace holdfast {

/// Reads one object. null is as good as absent. Whatever is wrong is thrown as ApiError that names the field.
class RequestFields {
 public:
  /// `place` stands before the fields' names in errors: "method.supervised.".
  explicit RequestFields(const Json& object, std::string place = "");

  bool has(const std::string& name) const;
  std::string text(const std::string& name, const std::string& fallback, std::size_t longest = 4096);
  std::string required_text(const std::string& name, std::size_t longest = 4096);
  std::optional<std::int64_t> integer(const std::string& name, std::int64_t low, std::int64_t high);
  std::optional<double> number(const std::string& name, double low, double high);
  bool flag(const std::string& name, bool fallback);
  /// The member as it is; null where it is absent.
  const Json& value(const std::string& name);
  /// A list; empty where it is absent.
  const Json& list(const std::string& name);
  /// The member as an object with fields of its own; nothing where it is absent.
  std::optional<RequestFields> object(const std::string& name);
  /// Whether the member is that text: "auto".
  bool is(const std::string& name, const std::string& text) const;

  /// A field of the protocol that is not served: refused unless it is absent, or says what holds anyway.
  void refuse(const std::string& name, const std::vector<Json>& harmless, const std::string& reason);
  /// What nobody read is refused. Last.
  void finish() const;

  [[noreturn]] void wrong(const std::string& name, const std::string& expected) const;
  std::string path(const std::string& name) const { return place_ + name; }

 private:
  const Json* find(const std::string& name);

  const Json& object_;
  std::string place_;
  std::set<std::string> known_;
};

/// "metadata": at most 16 pairs of texts, keys of at most 64 and values of at most 512 bytes; null where there is none.
Json read_metadata(RequestFields& fields);

/// A request's body as an object. Throws ApiError for what is none, nests too deep, or has a key twice.
Json parse_body(const std::string& text);

}  // namespace holdfast
