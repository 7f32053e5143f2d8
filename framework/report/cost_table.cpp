// The costs of a board as a table.
#include <algorithm>
#include <cmath>
#include <functional>

#include "report/cost.h"
#include "report/figures.h"

namespace holdfast {
namespace {

std::string number_or_dash(const std::optional<double>& number, const std::function<std::string(double)>& text) {
  return number ? text(*number) : "-";
}

std::string unbroken_text(const BoardCost& cost, const DefenseCost& row) {
  if (!row.measured) return "not known";
  return cost.sweeps ? "not within the sweep" : "by none of these attacks";
}

// Who is asked to compare wants two digits, and no more zeros than that.
std::string ratio_text(double ratio) { return ratio < 10 ? fixed(ratio, ratio < 0.1 ? 3 : 1) : fixed(std::round(ratio), 0); }

// What a row paid for safety: the undefended model its alignment, a defense what it adds.
const std::optional<Spent>& encoded(const BoardCost& cost, const DefenseCost& row) {
  return row.defense == "none" ? cost.align : row.extra;
}

std::string signed_text(const DefenseCost& row, const std::string& text) {
  return row.defense == "none" || text == "-" || text.starts_with("-") ? text : "+" + text;
}

std::optional<Spent> budget(const DefenseCost& row) { return row.broken ? row.broken->spent : std::nullopt; }

std::optional<double> spent_figure(const std::optional<Spent>& spent, double Spent::*member) {
  return spent ? std::optional((*spent).*member) : std::nullopt;
}

std::optional<double> spent_figure(const std::optional<Spent>& spent, std::optional<double> Spent::*member) {
  return spent ? (*spent).*member : std::nullopt;
}

std::string seconds_text(double seconds) { return fixed(seconds, 1); }

struct CostColumn {
  const char* header;
  bool money;  // only where there are prices
  std::string (*text)(const BoardCost& cost, const DefenseCost& row);
};

const CostColumn kCostColumns[] = {
    {"defense", false, [](const BoardCost&, const DefenseCost& row) { return row.defense; }},
    {"encode seconds", false,
     [](const BoardCost& cost, const DefenseCost& row) {
       return signed_text(row, number_or_dash(spent_figure(encoded(cost, row), &Spent::seconds), seconds_text));
     }},
    {"encode FLOPs", false,
     [](const BoardCost& cost, const DefenseCost& row) {
       return signed_text(row, number_or_dash(spent_figure(encoded(cost, row), &Spent::flops), flops_text));
     }},
    {"passes", false,
     [](const BoardCost&, const DefenseCost& row) {
       return number_or_dash(row.passes, [](double times) { return "x" + fixed(times, 2); });
     }},
    {"encode money", true,
     [](const BoardCost& cost, const DefenseCost& row) {
       return signed_text(row, number_or_dash(spent_figure(encoded(cost, row), &Spent::money),
                                              [&](double money) { return money_text(money, cost.currency); }));
     }},
    {"broken by", false,
     [](const BoardCost& cost, const DefenseCost& row) { return row.broken ? row.broken->attack : unbroken_text(cost, row); }},
    {"trained tokens", false,
     [](const BoardCost&, const DefenseCost& row) {
       return number_or_dash(spent_figure(budget(row), &Spent::tokens), [](double tokens) { return fixed(tokens, 0); });
     }},
    {"break FLOPs", false,
     [](const BoardCost&, const DefenseCost& row) {
       return number_or_dash(spent_figure(budget(row), &Spent::flops), flops_text);
     }},
    {"break seconds", false,
     [](const BoardCost&, const DefenseCost& row) {
       return number_or_dash(spent_figure(budget(row), &Spent::seconds), seconds_text);
     }},
    {"break money", true,
     [](const BoardCost& cost, const DefenseCost& row) {
       return number_or_dash(spent_figure(budget(row), &Spent::money),
                             [&](double money) { return money_text(money, cost.currency); });
     }},
    {"encode : break, FLOPs", false,
     [](const BoardCost&, const DefenseCost& row) { return number_or_dash(row.ratio, ratio_text); }},
    {"encode : break, money", true,
     [](const BoardCost&, const DefenseCost& row) { return number_or_dash(row.money_ratio, ratio_text); }},
};

}  // namespace

std::string flops_text(double flops) {
  if (flops == 0) return "0";
  auto power = static_cast<int>(std::floor(std::log10(std::abs(flops))));
  if (std::round(std::abs(flops) / std::pow(10, power - 2)) >= 1000) ++power;  // 9.999 is 10.0
  return fixed(flops / std::pow(10, power), 2) + "e" + std::to_string(power);
}

std::string money_text(double money, const std::string& currency) {
  const double size = std::abs(money);
  const int digits = size == 0 ? 2 : std::clamp(1 - static_cast<int>(std::floor(std::log10(size))), 2, 9);
  return fixed(money, digits) + " " + currency;
}

TextTable cost_table(const BoardCost& cost) {
  TextTable table;
  table.rows.resize(cost.rows.size());
  for (const auto& column : kCostColumns) {
    if (column.money && cost.currency.empty()) continue;
    table.header.emplace_back(column.header);
    for (std::size_t i = 0; i < cost.rows.size(); ++i) table.rows[i].push_back({column.text(cost, cost.rows[i])});
  }
  return table;
}

}  // namespace holdfast
