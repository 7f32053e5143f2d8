#include "service/desk.h"

namespace holdfast {
namespace {

std::vector<std::string> names_of(const Customers& customers) {
  std::vector<std::string> names;
  for (const auto& customer : customers.all()) names.push_back(customer.name);
  return names;
}

}  // namespace

Desk::Desk(const Scenario& given, const ServiceKeys& keys, const fs::path& state)
    : scenario(given),
      service(*given.service),
      customers(service, keys),
      folder(state, names_of(customers)),
      files(folder, customers),
      accounts(service.prices, folder, customers),
      jobs(service, folder, customers, files, accounts) {}

}  // namespace holdfast
