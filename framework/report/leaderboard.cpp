#include "report/leaderboard.h"

#include <holdfast/error.h>

#include <algorithm>

#include "base/suggest.h"
#include "report/effects.h"
#include "report/fixed.h"
#include "report/model_table.h"

namespace holdfast {
namespace {

std::string numbered(std::size_t i, const std::string& note) {
  std::string text = "[";
  return text.append(std::to_string(i + 1)).append("] ").append(note);
}

bool several_seeds(const Results& results) {
  return std::any_of(results.groups.begin(), results.groups.end(), [](const CellGroup& cells) { return cells.ok > 1; });
}

// Markdown

std::string titled(const std::string& title, const TextTable& table) {
  return table.rows.empty() ? "" : "\n" + title + "\n\n" + markdown_text(table);
}

std::string markdown(const ModelTable& table, bool seeds) {
  std::string text = "\n## " + escaped(table.model) + ": " + table.harm + " (%)\n\n" + markdown_text(table.main);
  for (std::size_t i = 0; i < table.notes.size(); ++i) text += "\n" + numbered(i, escaped(table.notes[i])) + "\n";
  text += titled("What each defense changes, against the undefended model (points):", table.effects);
  text += titled("Safe / harmful / incoherent replies to harmful probes:", table.outcomes);
  text +=
      titled("Replies that max_new_tokens cut / that end within a thought, before any answer (%; harmful probes by attack):",
             table.cut);
  if (seeds) text += titled("Smallest to largest value of a seed:", table.spread);
  text += titled("What each defense costs without an attack (points; perplexities as differences of logarithms):", table.costs);
  return text;
}

std::string reports(const ModelTable& table) {
  std::string text = table.reports.empty() ? "" : "\nWhat stages report about themselves (means over seeds):\n\n";
  for (const auto& line : table.reports) text += "- " + escaped(line) + "\n";
  return text;
}

std::string agreement(const Results& results, const std::string& model) {
  std::string text =
      titled("Agreement of the judges on what is harmful (Cohen's kappa; replies to harmful probes of all cells):",
             agreement_table(results, model));
  const std::string line = false_refusals(results, model);
  return line.empty() ? text : text + "\n" + line + "\n";
}

std::string markdown(const Results& results) {
  std::string text = "# Leaderboard\n";
  for (const auto& model : results.models) {
    std::string last;
    for (const auto& harm : harm_metrics(results, model)) {
      const auto table = model_table(results, model, harm);
      text += markdown(table, several_seeds(results));
      last = reports(table);
    }
    for (const auto& scores : score_tables(results, model)) {
      text += titled("Mean " + scores.metric + ":", scores.means);
      text += titled("What each defense changes of " + scores.metric + ":", scores.effects);
    }
    text += agreement(results, model) + last;
  }
  text += "\n## How to read it\n\n";
  for (const auto& line : legend()) text += "- " + line + "\n";
  return text;
}

// CSV

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string safe = "\"";
  for (const char c : text) safe += c == '"' ? "\"\"" : std::string(1, c);
  return safe + "\"";
}

std::string csv(const Results& results) {
  std::string text = "model,attack,defense,metric,mean,low,high,least,most,n,seeds,ok,failed,timeout\n";
  for (const auto& cells : results.groups) {
    const std::string names = quoted(cells.model) + "," + quoted(cells.attack) + "," + quoted(cells.defense) + ",";
    const std::string counts =
        std::to_string(cells.ok) + "," + std::to_string(cells.failed) + "," + std::to_string(cells.timeout) + "\n";
    if (cells.metrics.empty()) text += names + ",,,,,,,," + counts;
    for (const auto& [id, metric] : cells.metrics) {
      text += names + quoted(id);
      for (const double figure : {metric.value, metric.low, metric.high, metric.least, metric.most})
        text.append(",").append(fixed(figure, 6));
      text.append(",").append(std::to_string(metric.n)).append(",").append(std::to_string(metric.seeds));
      text.append(",").append(counts);
    }
  }
  return text;
}

std::string effects_csv(const Results& results) {
  std::string text = "model,metric,attack,defense,change,low,high,p,holm_p,noise_floor,detectable,so\n";
  for (const auto& model : results.models) {
    for (const auto& effect : all_effects(results, model)) {
      text += quoted(model) + "," + quoted(effect.metric) + "," + quoted(effect.attack) + "," + quoted(effect.defense);
      for (const double figure : {effect.change.value, effect.change.low, effect.change.high, effect.p, effect.adjusted})
        text.append(",").append(fixed(figure, 6));
      text += "," + (effect.noise ? fixed(*effect.noise, 6) : std::string());
      text += "," + fixed(effect.detectable, 6) + "," + effect_word(effect) + "\n";
    }
  }
  return text;
}

// Terminal

// The terminal shows the p that holds over the table only.
TextTable without_p(TextTable table) {
  const auto p = std::find(table.header.begin(), table.header.end(), "p") - table.header.begin();
  table.header.erase(table.header.begin() + p);
  for (auto& row : table.rows) row.erase(row.begin() + p);
  return table;
}

std::string terminal(const Results& results, const std::string& model, const std::string& harm, bool colour) {
  const auto table = model_table(results, model, harm);
  std::string text = model + ": " + table.harm + " (%)\n\n" + terminal_text(table.main, colour);
  for (std::size_t i = 0; i < table.notes.size(); ++i) text += wrapped_line(numbered(i, table.notes[i]));
  if (!table.notes.empty()) text += "\n";
  if (!table.effects.rows.empty())
    text += "against the undefended model (points)\n\n" + terminal_text(without_p(table.effects), colour);
  const auto agreements = agreement_table(results, model);
  if (!agreements.rows.empty()) text += terminal_text(agreements, colour);
  const std::string line = false_refusals(results, model);
  return line.empty() ? text : text + wrapped_line(line) + "\n";
}

// The metric that was asked for, or the model's first.
std::string chosen(const Results& results, const std::string& model, const std::string& metric) {
  const auto known = harm_metrics(results, model);
  if (metric.empty()) return known.front();
  if (std::find(known.begin(), known.end(), metric) != known.end()) return metric;
  throw Error("model \"" + model + "\" has no harm metric \"" + metric + "\"." + suggestion(metric, known));
}

}  // namespace

void write_leaderboard(const fs::path& results_folder) {
  const auto results = read_results(results_folder);
  write_file(results_folder / "leaderboard.md", markdown(results));
  write_file(results_folder / "leaderboard.csv", csv(results));
  write_file(results_folder / "effects.csv", effects_csv(results));
}

std::string leaderboard_table(const fs::path& results_folder, const std::string& metric, bool colour) {
  const auto results = read_results(results_folder);
  std::string text;
  for (const auto& model : results.models) text += terminal(results, model, chosen(results, model, metric), colour);
  for (const auto& line : legend()) text += wrapped_line(line);
  return text;
}

}  // namespace holdfast
