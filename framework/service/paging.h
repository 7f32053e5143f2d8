// Lists as the protocol pages them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// A request's query, by name. Every parameter is read or refused.
using QueryParameters = std::multimap<std::string, std::string>;

struct Paging {
  std::string after;  // an id; empty: from the beginning
  std::int64_t limit = 20;
  bool oldest_first = false;
  std::map<std::string, std::string> filters;  // what else was asked for: "purpose"
};

struct PagingRules {
  std::int64_t usual = 20, most = 100;
  bool order = false;                     // whether "order" is taken: "asc" or "desc"
  std::vector<std::string> filters = {};  // other parameters that are taken; one that ends in "[" stands for all that begin so
};

/// Throws ApiError for a parameter that is not known, stands twice or has no such value.
Paging read_paging(const QueryParameters& query, const PagingRules& rules);

/// Throws ApiError for a parameter that is not known.
[[noreturn]] void refuse_parameter(const std::string& name);

/// {"object": "list", "data", "has_more", "first_id", "last_id"} of objects with ids, newest first as given. Throws ApiError
/// where `after` is none of them.
Json page_of(std::vector<Json> objects, const Paging& paging);

}  // namespace holdfast
