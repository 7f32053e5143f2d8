#include "provider/ledger.h"

#include <holdfast/error.h>

#include <map>
#include <random>

#include "base/digest.h"
#include "base/locked_file.h"
#include "base/untrusted.h"
#include "provider/prices.h"

namespace holdfast {
namespace {

constexpr const char* kWhat = "the ledger of what was spent";
constexpr double kRounding = 1e-9;  // sums of many small amounts

std::string new_id() {
  std::random_device random;
  std::string bits;
  for (int i = 0; i < 4; ++i) bits += std::to_string(random()) + " ";
  return sha256(bits).substr(0, 16);
}

}  // namespace

SpendLedger::SpendLedger(fs::path file, const ProviderSettings& settings)
    : file_(std::move(file)),
      payee_(sha256(canonical(identity(settings)))),
      described_(described(settings)),
      currency_(settings.currency),
      limit_(settings.spend_limit) {}

double SpendLedger::sum() const {
  if (!fs::exists(file_)) return 0;
  std::map<std::string, double> amounts;
  const std::string text = read_file(file_);
  for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const Json json = json_or_discarded(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    if (json.is_discarded()) continue;  // a torn line: whoever wrote it had not begun to spend
    if (!json.is_object() || !json.contains("payee") || !json.contains("id") || !json.contains("amount") ||
        !json["amount"].is_number() || !json["id"].is_string()) {
      throw Error(file_.string() + ":" + std::to_string(number) + " is no line of " + kWhat +
                  ": put back what stood there, or move the file away once it is known what was spent");
    }
    if (json["payee"] != payee_) continue;
    if (json.value("currency", "") != currency_) {
      throw Error(described_ + " was paid in " + in_quotes(json.value("currency", "")) + " before (" + file_.string() +
                  "), and [prices] says " + in_quotes(currency_) + " now: keep to one currency with one store");
    }
    amounts[json["id"]] = json["amount"];
  }
  double sum = 0;
  for (const auto& [id, amount] : amounts) sum += amount;
  return sum;
}

std::string SpendLedger::reserve(double amount, const std::string& about) {
  LockedFile file(file_, kWhat);
  const double spent = sum();
  if (spent + amount > limit_ + kRounding) {
    throw Error(described_ + " has cost " + sum_text(spent, currency_) + " so far, " + about + " may cost up to " +
                sum_text(amount, currency_) + ", and its spend_limit is " + sum_text(limit_, currency_) +
                ": raise spend_limit in its [[model]] if you mean to pay that, or ask for less (limit and max_new_tokens in "
                "[evaluate], fewer rows, epochs, seeds or attacks); what was spent stands in " +
                file_.string());
  }
  const std::string id = new_id();
  file.append_line(line(id, amount, about));
  return id;
}

void SpendLedger::settle(const std::string& id, double amount) {
  LockedFile file(file_, kWhat);
  file.append_line(line(id, amount, "settled"));
}

std::string SpendLedger::line(const std::string& id, double amount, const std::string& about) const {
  return canonical({{"about", about}, {"amount", amount}, {"currency", currency_}, {"id", id}, {"payee", payee_}});
}

}  // namespace holdfast
