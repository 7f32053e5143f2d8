// What it costs to encode safety and what to remove it, from the stages of a board's cells (docs/cost.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/model_cells.h"
#include "report/text_table.h"

namespace holdfast {

/// A sum over stages, or a difference of two. An optional figure is there when every stage tells it.
struct Spent {
  double seconds = 0;         // as if each stage had been alone
  double device_seconds = 0;  // of them with an accelerator held
  double tokens = 0;          // trained on, or generated
  double forward_tokens = 0, backward_tokens = 0;
  std::optional<double> flops, cpu_seconds, energy_joules;
  std::optional<double> money;   // by [prices], and by providers' bills
  std::optional<double> billed;  // by providers; nothing where none had a part

  Spent& operator+=(const Spent& more);
  Spent operator-(const Spent& less) const;
  Spent operator/(double parts) const;
};

/// Whether a stage of this kind is the attacker's doing: what he collects, trains or has trained, and turns off.
bool is_attackers(const std::string& kind);

/// The cheapest attack of the board that passes the threshold, and what its own training costs: that of the undefended model,
/// for what a defense adds to it the provider bears.
struct Breaking {
  std::string attack;  // a try, of a sweep
  std::string column;  // the sweep, else the attack
  double harm = 0;
  std::optional<Spent> spent;
};

struct DefenseCost {
  std::string defense;
  std::optional<Spent> extra;          // a cell's mean beside the undefended one's, judging left out; of a defense
  std::map<std::string, Spent> parts;  // the same by stage kind
  std::optional<double> passes;        // times the undefended model's in all that comes before replies
  std::optional<Breaking> broken;      // nothing where no attack of the board passes,
  bool measured = false;               // of those whose harm is known: whether all are
  /// What was paid for safety beside what removes it: alignment with the extra, and the cheapest attack.
  std::optional<double> ratio, money_ratio;  // in FLOPs, in money
};

struct BoardCost {
  std::string model, threat_model, harm;
  double threshold = 0;           // of the harm: the margin above the undefended, unattacked model's
  bool sweeps = false;            // whether an attack of the board is one
  std::string currency;           // empty without prices
  std::optional<Spent> align;     // of the undefended model; nothing where the run aligns none
  std::vector<DefenseCost> rows;  // by defense, the undefended model first
};

BoardCost board_cost(const ModelCells& cells, const std::string& harm);

/// A row a defense. No rows where no stage is known, as beside rows of an older program.
TextTable cost_table(const BoardCost& cost);

/// "1.23e12".
std::string flops_text(double flops);
/// Two digits that count, and the currency.
std::string money_text(double money, const std::string& currency);

}  // namespace holdfast
