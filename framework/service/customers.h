// Who may use the service, and how they are told apart.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scenario/service.h"
#include "scenario/service_keys.h"

namespace holdfast {

struct Customer {
  std::string name;
  ServiceLimits limits;
};

class Customers {
 public:
  /// Keeps the SHA-256 of each customer's key. Without customers whoever asks is "local". Throws Error for a key that is not
  /// there, that no header can carry, or that two have.
  Customers(const ServiceSpec& service, const ServiceKeys& keys);

  bool are_named() const { return named_; }
  const std::vector<Customer>& all() const { return customers_; }
  /// Whose request it is, by its Authorization. Throws ApiError (401).
  const Customer& of(const std::string& authorization) const;

 private:
  bool named_;
  std::vector<Customer> customers_;
  std::map<std::string, std::size_t> by_digest_;  // of digests no comparison tells anything about the key
};

}  // namespace holdfast
