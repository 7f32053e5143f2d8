#include "service/accounts.h"

#include <algorithm>
#include <sstream>

#include "service/api_error.h"

namespace holdfast {
namespace {

constexpr double kDust = 1e-12;  // what is left where sums are not exact

constexpr double kMillion = 1e6;

std::string money(double amount, const std::string& currency) {
  std::ostringstream text;
  text.precision(6);
  text << amount << " " << currency;
  return text.str();
}

Json line_of(double amount, const std::string& what) { return {{"at", unix_seconds()}, {"amount", amount}, {"what", what}}; }

// One line in the place of many.
double read_spent(const fs::path& path) {
  const auto lines = whole_lines(path);
  double spent = 0;
  for (const auto& line : lines) {
    if (line.contains("amount") && line["amount"].is_number()) spent += line["amount"].get<double>();
  }
  if (lines.size() > 1) write_file(path, canonical(line_of(spent, "until then")) + "\n");
  return spent;
}

}  // namespace

Accounts::Accounts(const ServicePrices& prices, const StateFolder& folder, const Customers& customers)
    : prices_(prices), folder_(folder) {
  for (const auto& customer : customers.all()) accounts_[customer.name].spent = read_spent(folder.spend(customer.name));
}

double Accounts::price_of_training(std::int64_t tokens) const {
  return prices_.training * static_cast<double>(tokens) / kMillion;
}

double Accounts::price_of_chat(std::int64_t prompt, std::int64_t completion) const {
  return (prices_.input * static_cast<double>(prompt) + prices_.output * static_cast<double>(completion)) / kMillion;
}

void Accounts::reserve(const Customer& customer, double amount, const std::string& what) {
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[customer.name];
  const double limit = customer.limits.spend;
  const double taken = account.spent + account.reserved;
  // Where all is spent, nothing more is begun, be it as cheap as it may.
  if (limit > 0 && (taken + amount > limit || taken >= limit)) {
    throw over_quota(what + " may cost " + money(amount, prices_.currency) + "; of the " + money(limit, prices_.currency) +
                     " that you may spend, " + money(account.spent, prices_.currency) + " are spent and " +
                     money(account.reserved, prices_.currency) + " are kept for what is under way");
  }
  account.reserved += amount;
}

void Accounts::reserve_again(const std::string& customer, double amount) {
  const std::lock_guard lock(mutex_);
  accounts_[customer].reserved += amount;
}

void Accounts::release(const std::string& customer, double amount) {
  const std::lock_guard lock(mutex_);
  double& reserved = accounts_[customer].reserved;
  reserved -= amount;
  if (reserved < kDust) reserved = 0;
}

void Accounts::spend_on_job(const std::string& customer, double amount) {
  const std::lock_guard lock(mutex_);
  accounts_[customer].spent += amount;
}

void Accounts::spend_on_chat(const std::string& customer, double amount, const std::string& what) {
  if (amount <= 0) return;
  const std::lock_guard lock(mutex_);
  accounts_[customer].spent += amount;
  append_file(folder_.spend(customer), canonical(line_of(amount, what)) + "\n");
}

double Accounts::spent(const std::string& customer) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(customer);
  return found == accounts_.end() ? 0 : found->second.spent;
}

}  // namespace holdfast
