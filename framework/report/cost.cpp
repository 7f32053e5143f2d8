#include "report/cost.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>
#include <unordered_map>

#include "provider/submission.h"
#include "report/ranking.h"

namespace holdfast {
namespace {

using Optional = std::optional<double> Spent::*;
using Number = double Spent::*;

constexpr std::array<Number, 5> kNumbers = {&Spent::seconds, &Spent::device_seconds, &Spent::tokens, &Spent::forward_tokens,
                                            &Spent::backward_tokens};
constexpr std::array<Optional, 4> kOptionals = {&Spent::flops, &Spent::cpu_seconds, &Spent::energy_joules, &Spent::money};
constexpr std::array<const char*, 4> kAttackers = {"collect", "finetune", "submit", "tamper"};
constexpr const char* kJudging = "judge";
constexpr const char* kReplies = "generate";

template <typename Operation>
Spent combined(const Spent& a, const Spent& b, const Operation& operation) {
  Spent made;
  for (const auto number : kNumbers) made.*number = operation(a.*number, b.*number);
  for (const auto figure : kOptionals) {
    if (a.*figure && b.*figure) made.*figure = operation(*(a.*figure), *(b.*figure));
  }
  if (a.billed || b.billed) made.billed = operation(a.billed.value_or(0), b.billed.value_or(0));
  return made;
}

// Of nothing: what is added to it decides what is known.
Spent nothing() {
  Spent none;
  for (const auto figure : kOptionals) none.*figure = 0;
  return none;
}

using Parts = std::map<std::string, Spent>;  // by stage kind

Spent sum_of(const Parts& parts, const std::function<bool(const std::string& kind)>& counts) {
  Spent sum = nothing();
  for (const auto& [kind, spent] : parts) {
    if (counts(kind)) sum += spent;
  }
  return sum;
}

// What stages cost, with money by the run's price table.
class Stages {
 public:
  /// With bills of a provider, where attackers come through his interface.
  Stages(const Results& results, bool by_api) {
    const Json& prices = results.facts.prices;
    if (!prices.is_null()) {
      currency_ = prices.value("currency", "USD");
      hours_ = prices.value("device_hour", std::map<std::string, double>());
      if (by_api && prices.contains("training_token")) training_token_ = prices.at("training_token").get<double>();
    }
    const auto billed = [](const auto& stage) { return stage.second.cost.contains(kBilled); };
    if (currency_.empty() && std::any_of(results.stages.begin(), results.stages.end(), billed)) {
      currency_ = ProviderSettings().currency;
    }
    for (const auto& [key, stage] : results.stages) stages_.emplace(key, Known{stage.kind, spent(stage)});
  }

  const std::string& currency() const { return currency_; }

  /// Of all stages of a cell, by kind; nothing when one of them is not known.
  std::optional<Parts> of(const CellRow& row) const {
    if (row.stages.empty()) return std::nullopt;
    return of(row, {});
  }

  /// The same without those that another cell has too.
  std::optional<Parts> of(const CellRow& row, const std::set<std::string>& shared) const {
    Parts parts;
    for (const auto& [name, key] : row.stages) {
      const auto found = stages_.find(key);
      if (found == stages_.end()) return std::nullopt;
      if (shared.contains(key)) continue;
      parts.emplace(found->second.kind, nothing()).first->second += found->second.spent;
    }
    return parts;
  }

  /// What an attacker pays: what he is billed, or would be, else the hours of his own device.
  std::optional<double> bill(const Spent& spent) const {
    if (spent.billed) return spent.billed;
    return training_token_ ? std::optional(spent.tokens * *training_token_) : spent.money;
  }

 private:
  struct Known {
    std::string kind;
    Spent spent;
  };

  Spent spent(const StageRow& stage) const {
    const auto told = [&](const char* name) {
      return stage.cost.contains(name) ? std::optional(stage.spent(name)) : std::nullopt;
    };
    Spent spent;
    spent.seconds = stage.spent("seconds");
    spent.device_seconds = stage.spent("device_seconds");
    spent.tokens = stage.spent("tokens");
    spent.forward_tokens = stage.spent("forward_tokens");
    spent.backward_tokens = stage.spent("backward_tokens");
    spent.flops = told("flops");
    spent.cpu_seconds = told("cpu_seconds");
    spent.energy_joules = told("energy_joules");
    spent.money = price(stage, spent);
    if (stage.cost.contains(kBilled)) spent.billed = spent.money = stage.spent(kBilled);
    return spent;
  }

  // An accelerator is paid while it is held, a processor while the stage runs; a stage without a model runs on a processor.
  std::optional<double> price(const StageRow& stage, const Spent& spent) const {
    const std::string device = stage.device.empty() ? "cpu" : stage.device;
    const auto hour = hours_.find(device);
    if (hour == hours_.end()) return std::nullopt;
    return hour->second * (device != "cpu" && spent.device_seconds > 0 ? spent.device_seconds : spent.seconds) / 3600;
  }

  std::string currency_;                 // empty without prices
  std::map<std::string, double> hours_;  // by device
  std::optional<double> training_token_;
  std::unordered_map<std::string, Known> stages_;  // by key
};

const std::vector<RunRow>& rows_of(const CellGroup* group) {
  static const std::vector<RunRow> kNone;
  return group == nullptr ? kNone : group->rows;
}

const CellRow* row_of(const CellGroup* group, std::int64_t seed) {
  const auto& rows = rows_of(group);
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const CellRow& row) { return row.seed == seed && row.ok(); });
  return found == rows.end() ? nullptr : &*found;
}

// A mean over cells.
class Mean {
 public:
  void add(const Spent& spent) {
    sum_ = count_ == 0 ? spent : combined(sum_, spent, std::plus<>());
    ++count_;
  }
  double count() const { return count_; }
  std::optional<Spent> value() const { return count_ == 0 ? std::nullopt : std::optional(sum_ / count_); }

 private:
  Spent sum_;
  double count_ = 0;
};

class Costs {
 public:
  Costs(const ModelCells& cells, const std::string& harm)
      : cells_(cells), harm_(harm), stages_(cells.results(), cells.threat_model() == "api") {
    cost_.model = cells.model();
    cost_.threat_model = cells.threat_model();
    cost_.harm = harm;
    cost_.currency = stages_.currency();
    cost_.threshold = cells.value("none", "none", harm).value_or(0) + kMargin;
    for (const auto& column : cells.attacks()) {
      cost_.sweeps = cost_.sweeps || cells.is_sweep(column);
      if (is_control(column)) continue;
      for (const auto& attack : cells.tries(column)) {
        attacks_.emplace_back(column, attack);
        budgets_[attack] = budget_of(attack);
      }
    }
  }

  BoardCost board() {
    cost_.align = alignment();
    for (const auto& defense : cells_.defenses()) cost_.rows.push_back(row(defense));
    const bool known = cost_.align || std::any_of(cost_.rows.begin(), cost_.rows.end(), [](const DefenseCost& row) {
                         return row.extra || (row.broken && row.broken->spent);
                       });
    if (!known) cost_.rows.clear();
    return std::move(cost_);
  }

 private:
  const CellGroup* group(const std::string& attack, const std::string& defense) const {
    return cells_.results().find(cells_.model(), attack, defense);
  }

  std::optional<Spent> alignment() const {
    Mean mean;
    for (const CellRow& row : rows_of(group("none", "none"))) {
      const auto parts = stages_.of(row);
      if (parts && parts->contains("align")) mean.add(parts->at("align"));
    }
    return mean.value();
  }

  DefenseCost row(const std::string& defense) const {
    DefenseCost made;
    made.defense = defense;
    if (defense != "none") add_extra(made);
    add_breaking(made);
    if (!cost_.align || !made.broken || !made.broken->spent || (defense != "none" && !made.extra)) return made;
    const Spent paid = made.extra ? combined(*cost_.align, *made.extra, std::plus<>()) : *cost_.align;
    const auto ratio = [](const std::optional<double>& safety, const std::optional<double>& harm) {
      return safety && harm && *harm > 0 ? std::optional(*safety / *harm) : std::nullopt;
    };
    made.ratio = ratio(paid.flops, made.broken->spent->flops);
    made.money_ratio = ratio(paid.money, made.broken->spent->money);
    return made;
  }

  // Over all attacked cells that stand beside an undefended one of the same attack and seed.
  void add_extra(DefenseCost& made) const {
    Mean mean;
    Parts parts;
    double passes = 0, plain_passes = 0;
    for (const auto& [column, attack] : attacks_) {
      for (const CellRow& row : rows_of(group(attack, made.defense))) {
        const CellRow* beside = row.ok() ? row_of(group(attack, "none"), row.seed) : nullptr;
        const auto own = beside == nullptr ? std::nullopt : stages_.of(row);
        const auto plain = beside == nullptr ? std::nullopt : stages_.of(*beside);
        if (!own || !plain) continue;
        const Parts more = differences(row, *beside);
        mean.add(sum_of(more, [](const std::string&) { return true; }));
        for (const auto& [kind, spent] : more) parts.emplace(kind, nothing()).first->second += spent;
        passes += passes_before_replies(*own);
        plain_passes += passes_before_replies(*plain);
      }
    }
    made.extra = mean.value();
    for (const auto& [kind, sum] : parts) made.parts[kind] = sum / mean.count();
    if (plain_passes > 0) made.passes = passes / plain_passes;
  }

  // What one cell's stages cost beside the other's, by kind. A stage that both have is no difference, whatever it says.
  Parts differences(const CellRow& row, const CellRow& beside) const {
    Parts more = *stages_.of(row, keys_of(beside));
    const Parts less = *stages_.of(beside, keys_of(row));
    for (const auto& [kind, spent] : less) {
      const auto [place, fresh] = more.emplace(kind, nothing());
      place->second = place->second - spent;
    }
    more.erase(kJudging);
    return more;
  }

  static std::set<std::string> keys_of(const CellRow& row) {
    std::set<std::string> keys;
    for (const auto& [name, key] : row.stages) keys.insert(key);
    return keys;
  }

  static double passes_before_replies(const Parts& parts) {
    double passes = 0;
    for (const auto& [kind, spent] : parts) {
      if (kind != kJudging && kind != kReplies) passes += spent.forward_tokens + spent.backward_tokens;
    }
    return passes;
  }

  void add_breaking(DefenseCost& made) const {
    made.measured = !attacks_.empty();
    for (const auto& [column, attack] : attacks_) {
      const PooledMetric* harm = cells_.metric(attack, made.defense, harm_);
      if (harm == nullptr) {
        made.measured = false;
      } else if (harm->value > cost_.threshold && (!made.broken || cheaper(budgets_.at(attack), made.broken->spent))) {
        made.broken = Breaking{attack, column, harm->value, budgets_.at(attack)};
      }
    }
  }

  std::optional<Spent> budget_of(const std::string& attack) const {
    Mean mean;
    for (const CellRow& row : rows_of(group(attack, "none"))) {
      const auto parts = row.ok() ? stages_.of(row) : std::nullopt;
      if (parts) mean.add(sum_of(*parts, is_attackers));
    }
    auto budget = mean.value();
    if (budget) budget->money = stages_.bill(*budget);
    return budget;
  }

  // One whose cost is not known is cheaper than none.
  static bool cheaper(const std::optional<Spent>& a, const std::optional<Spent>& b) {
    if (!a || !b) return a.has_value() && !b;
    if (a->billed && b->billed) return *a->billed < *b->billed;
    return a->flops && b->flops ? *a->flops < *b->flops : a->seconds < b->seconds;
  }

  const ModelCells& cells_;
  std::string harm_;
  Stages stages_;
  std::vector<std::pair<std::string, std::string>> attacks_;  // column, and each attack behind it
  std::map<std::string, std::optional<Spent>> budgets_;       // by attack
  BoardCost cost_;
};

}  // namespace

bool is_attackers(const std::string& kind) { return std::count(kAttackers.begin(), kAttackers.end(), kind) > 0; }

Spent& Spent::operator+=(const Spent& more) { return *this = combined(*this, more, std::plus<>()); }

Spent Spent::operator-(const Spent& less) const { return combined(*this, less, std::minus<>()); }

Spent Spent::operator/(double parts) const {
  return combined(*this, *this, [&](double mine, double) { return mine / parts; });
}

BoardCost board_cost(const ModelCells& cells, const std::string& harm) { return Costs(cells, harm).board(); }

}  // namespace holdfast
