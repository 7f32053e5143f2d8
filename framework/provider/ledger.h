// What was spent at a provider with one store, and the limit that it may not pass.
#pragma once

#include <string>

#include "base/file.h"
#include "provider/settings.h"

namespace holdfast {

/// One JSON line a change, which workers of all runs add under a lock: {"about", "amount", "currency", "id", "payee"}; of two
/// lines of one id the last counts. What was set aside and never settled, since its process died, counts as spent.
class SpendLedger {
 public:
  /// Of what is asked of this model: its dialect, address, account and name.
  SpendLedger(fs::path file, const ProviderSettings& settings);

  /// Sets so much aside and gives its id. Throws Error where all that was spent and set aside would pass the limit; `about`
  /// says what for ("a job of 10 rows").
  std::string reserve(double amount, const std::string& about);
  /// What it did cost.
  void settle(const std::string& id, double amount);

  /// Spent and set aside so far.
  double sum() const;

 private:
  std::string line(const std::string& id, double amount, const std::string& about) const;

  fs::path file_;
  std::string payee_, described_, currency_;
  double limit_;
};

}  // namespace holdfast
