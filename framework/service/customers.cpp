#include "service/customers.h"

#include <holdfast/error.h>

#include <cctype>
#include <string_view>

#include "base/digest.h"
#include "service/api_error.h"

namespace holdfast {
namespace {

constexpr std::size_t kShortestKey = 8;

std::string key_of(const CustomerSpec& customer, const ServiceKeys& keys) {
  const auto given = keys.find(customer.key_env);
  const std::string key = given == keys.end() ? "" : given->second;
  const std::string whose =
      "the environment variable " + customer.key_env + ", the key of the customer \"" + customer.name + "\", ";
  if (key.empty()) throw Error(whose + "is not set: set it to a secret of at least 8 characters");
  if (key.size() < kShortestKey) throw Error(whose + "has fewer than 8 characters: set it to a longer secret");
  for (const char c : key) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && std::string_view("-._~+/=").find(c) == std::string_view::npos) {
      throw Error(whose + "holds a character that no header carries: expected letters, digits and -._~+/=");
    }
  }
  return key;
}

}  // namespace

Customers::Customers(const ServiceSpec& service, const ServiceKeys& keys) : named_(!service.customers.empty()) {
  for (const auto& customer : service.customers) {
    if (!by_digest_.emplace(sha256(key_of(customer, keys)), customers_.size()).second) {
      throw Error("the customer \"" + customer.name + "\" has the key of another one: give each a key of its own");
    }
    customers_.push_back({customer.name, customer.limits});
  }
  if (!named_) customers_.push_back({"local", service.limits});
}

const Customer& Customers::of(const std::string& authorization) const {
  if (!named_) return customers_.front();
  constexpr std::string_view kBearer = "Bearer ";
  const bool carries = authorization.starts_with(kBearer);
  const auto found = by_digest_.find(carries ? sha256(authorization.substr(kBearer.size())) : "");
  if (found != by_digest_.end()) return customers_[found->second];
  throw ApiError{.status = 401,
                 .message = carries ? "the key of the request is nobody's here"
                                    : "the request carries no key, expected the header Authorization: Bearer KEY",
                 .type = "authentication_error",
                 .code = "invalid_api_key"};
}

}  // namespace holdfast
