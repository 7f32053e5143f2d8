#include "service/paging.h"

#include <algorithm>

#include "service/api_error.h"

namespace holdfast {
namespace {

std::int64_t limit_in(const std::string& text, const PagingRules& rules) {
  constexpr std::size_t kMostDigits = 9;
  const bool digits = !text.empty() && text.size() <= kMostDigits && text.find_first_not_of("0123456789") == std::string::npos;
  const std::int64_t limit = digits ? std::stoll(text) : 0;
  if (limit >= 1 && limit <= rules.most) return limit;
  throw wrong_field("limit",
                    "\"limit\" is " + in_quotes(text) + ", expected an integer from 1 to " + std::to_string(rules.most));
}

bool is_filter(const std::string& name, const PagingRules& rules) {
  return std::any_of(rules.filters.begin(), rules.filters.end(), [&](const std::string& known) {
    return known.ends_with('[') ? name.starts_with(known) && name.ends_with(']') : name == known;
  });
}

void read_parameter(const std::string& name, const std::string& value, const PagingRules& rules, Paging& paging) {
  if (name == "after") {
    paging.after = value;
  } else if (name == "limit") {
    paging.limit = limit_in(value, rules);
  } else if (name == "order" && rules.order) {
    if (value != "asc" && value != "desc") {
      throw wrong_field("order", "\"order\" is " + in_quotes(value) + ", expected \"asc\" or \"desc\"");
    }
    paging.oldest_first = value == "asc";
  } else if (is_filter(name, rules)) {
    paging.filters[name] = value;
  } else {
    refuse_parameter(name);
  }
}

Json id_or_null(const Json& data, bool first) {
  if (data.empty()) return {};
  return (first ? data.front() : data.back()).at("id");
}

}  // namespace

void refuse_parameter(const std::string& name) {
  const std::string field = name.substr(0, 200);
  throw wrong_field(field, "the address has the parameter " + in_quotes(field) + ", which is not known here: leave it out",
                    "unknown_parameter");
}

Paging read_paging(const QueryParameters& query, const PagingRules& rules) {
  Paging paging;
  paging.limit = rules.usual;
  for (const auto& [name, value] : query) {
    if (query.count(name) > 1)
      throw wrong_field(name.substr(0, 200), "the address has the parameter " + in_quotes(name) + " twice");
    read_parameter(name, value, rules, paging);
  }
  return paging;
}

Json page_of(std::vector<Json> objects, const Paging& paging) {
  if (paging.oldest_first) std::reverse(objects.begin(), objects.end());
  auto begin = objects.begin();
  if (!paging.after.empty()) {
    begin = std::find_if(objects.begin(), objects.end(), [&](const Json& each) { return each.at("id") == paging.after; });
    if (begin == objects.end())
      throw wrong_field("after", "there is nothing with the id " + in_quotes(paging.after) + " in this list");
    ++begin;
  }
  const auto count = std::min<std::int64_t>(paging.limit, objects.end() - begin);
  Json data = Json::array();
  std::move(begin, begin + count, std::back_inserter(data));
  const bool more = begin + count != objects.end();
  return {{"object", "list"},
          {"data", data},
          {"has_more", more},
          {"first_id", id_or_null(data, true)},
          {"last_id", id_or_null(data, false)}};
}

}  // namespace holdfast
