// What customers have spent, by the price table, and may spend.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "service/customers.h"
#include "service/state_folder.h"

namespace holdfast {

class Accounts {
 public:
  /// Reads what was spent on chats.
  Accounts(const ServicePrices& prices, const StateFolder& folder, const Customers& customers);

  const ServicePrices& prices() const { return prices_; }
  double price_of_training(std::int64_t tokens) const;
  double price_of_chat(std::int64_t prompt, std::int64_t completion) const;

  /// Whether estimates matter: the customer has a limit.
  static bool has_limit(const Customer& customer) { return customer.limits.spend > 0; }
  /// Keeps so much of what the customer may spend for him. Throws ApiError (insufficient_quota) where so much is not left.
  void reserve(const Customer& customer, double amount, const std::string& what);
  /// The same of what was reserved before the server was started anew.
  void reserve_again(const std::string& customer, double amount);
  /// Ends a reservation.
  void release(const std::string& customer, double amount);
  /// Writes it down; `what` is for whoever reads the file. Throws Error where it cannot.
  void spend_on_chat(const std::string& customer, double amount, const std::string& what);
  /// What a job costs stands in its record, which is written whole or not at all.
  void spend_on_job(const std::string& customer, double amount);
  double spent(const std::string& customer) const;

 private:
  struct Account {
    double spent = 0, reserved = 0;
  };

  const ServicePrices prices_;
  const StateFolder& folder_;
  mutable std::mutex mutex_;
  std::map<std::string, Account> accounts_;
};

/// A reservation that ends with it.
class Reservation {
 public:
  Reservation(Accounts& accounts, const Customer& customer, double amount, const std::string& what)
      : accounts_(accounts), customer_(customer.name), amount_(amount) {
    accounts_.reserve(customer, amount, what);
  }
  ~Reservation() { accounts_.release(customer_, amount_); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

 private:
  Accounts& accounts_;
  const std::string customer_;
  const double amount_;
};

}  // namespace holdfast
