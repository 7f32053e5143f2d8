#include "report/page/stories.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "data/conversation.h"
#include "report/figures.h"
#include "report/page/heat_table.h"
#include "results/curve.h"
#include "results/sample.h"

namespace holdfast {
namespace {

constexpr std::size_t kCurvePoints = 20;
constexpr std::size_t kPageKeyDigits = 8;  // enough of a key to find it in stages.jsonl and in a store

// In the order of the pipeline.
constexpr std::array<const char*, 9> kStages = {"pretrain", "align",  "collect", "screen",  "finetune",
                                                "submit",   "tamper", "repair",  "generate"};

// A figure of a stage's cost: what the manifest calls it, what the page does, and by how much it is divided.
struct CostFigure {
  const char* name;
  const char* shown;
  double unit;
};
constexpr std::array<CostFigure, 8> kCostFigures = {{{"seconds", "seconds", 1},
                                                     {"device_seconds", "device s", 1},
                                                     {"tokens", "tokens", 1},
                                                     {"forward_tokens", "tokens forward", 1},
                                                     {"backward_tokens", "tokens back", 1},
                                                     {"flops", "GFLOP", 1e9},
                                                     {"energy_joules", "joules", 1},
                                                     {"peak_memory", "peak MiB", 1 << 20}}};

// With so many digits after the point; null where it is not finite.
Json rounded(double value, int digits) {
  if (!std::isfinite(value)) return nullptr;
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

// With so many digits that say something, as a whole number where it is one.
Json short_figure(double value, int digits) {
  if (!(std::abs(value) > 0) || !std::isfinite(value)) return 0;
  const int behind = digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  const double scale = std::pow(10, std::abs(behind));
  if (behind > 0) return std::round(value * scale) / scale;
  return static_cast<std::int64_t>(std::llround(value / scale) * std::llround(scale));
}

std::string unit(const std::string& metric) { return is_share(metric, {}) ? "%" : ""; }

// [value, low, high, n]
Json figure_json(const std::string& metric, double value, double low, double high, std::int64_t n) {
  const double scale = unit(metric).empty() ? 1 : 100;
  return {rounded(scale * value, 2), rounded(scale * low, scale > 1 ? 1 : 3), rounded(scale * high, scale > 1 ? 1 : 3), n};
}

Json effect_json(const DefenseEffect& effect) {
  const double scale = unit(effect.metric).empty() ? 1 : 100;
  const auto shown = [&](double value) { return rounded(scale * value, scale > 1 ? 1 : 3); };
  return {effect.metric,
          shown(effect.change.value),
          shown(effect.change.low),
          shown(effect.change.high),
          rounded(effect.adjusted, 4),
          effect.noise ? shown(*effect.noise) : Json(),
          shown(effect.detectable),
          effect_word(effect)};
}

// [steps, losses]: means over equal parts of the training.
Json curve_json(const std::vector<CurvePoint>& curve) {
  const std::size_t parts = std::min(kCurvePoints, curve.size());
  Json steps = Json::array(), losses = Json::array();
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = part * curve.size() / parts, end = (part + 1) * curve.size() / parts;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += curve[i].loss;
    const double mean = sum / static_cast<double>(end - begin);
    if (!std::isfinite(mean)) continue;
    steps.push_back(curve[end - 1].step);
    losses.push_back(short_figure(mean, 2));
  }
  return {steps, losses};
}

Json sample_json(const Sample& sample, bool text, EmbeddedSamples& samples) {
  Json json = {{"id", sample.id}, {"kind", sample.kind}, {"outcomes", sample.outcomes}};
  ++samples.count;
  if (!sample.reply) return json;
  json["digest"] = sample.reply->sha256.substr(0, kPageKeyDigits);
  json["length"] = sample.reply->length;
  if (sample.reply->category) json["category"] = *sample.reply->category;
  if (!text || !sample.reply->text) return json;
  ++samples.with_text;
  std::string prompt;
  for (const auto& message : conversation_from_json(sample.reply->text->prompt)) {
    prompt += (prompt.empty() ? "" : "\n") + message.role + ": " + message.content;
  }
  json["prompt"] = prompt;
  json["reply"] = sample.reply->text->reply;
  return json;
}

// [name, plugin, how its key begins, costs ...] of distinct stages, in the order they are first named.
class StageTable {
 public:
  explicit StageTable(const Results& results) : results_(results) {}

  /// How far from the table's end the stage stood when it was named: 0 of one that is new. Most are, and pack to nothing.
  std::size_t back(const std::string& name, const std::string& key, const fs::path& folder) {
    const auto [found, fresh] = places_.emplace(key, table_.size());
    if (!fresh) return table_.size() - found->second;
    const auto row = results_.stages.find(key);
    const bool known = row != results_.stages.end();
    Json line = {name, known ? row->second.plugin : "", key.substr(0, kPageKeyDigits)};
    for (const auto& spent : kCostFigures)
      line.push_back(known ? short_figure(row->second.spent(spent.name) / spent.unit, 2) : Json(0));
    table_.push_back(std::move(line));
    const auto curve = read_curve(curve_file(folder, key));
    curves_.push_back(curve.empty() ? Json(0) : curve_json(curve));
    return 0;
  }

  Json table() const { return table_; }
  Json curves() const { return curves_; }

 private:
  const Results& results_;
  std::map<std::string, std::size_t> places_;  // by key
  Json table_ = Json::array(), curves_ = Json::array();
};

std::size_t order_of(const std::string& stage) {
  return static_cast<std::size_t>(
      std::find_if(kStages.begin(), kStages.end(), [&](const char* name) { return stage == name; }) - kStages.begin());
}

class Stories {
 public:
  Stories(const ModelCells& cells, const std::vector<DefenseEffect>& effects, const PageSamples& wanted,
          EmbeddedSamples& samples)
      : cells_(cells), wanted_(wanted), samples_(samples), stages_(cells.results()) {
    for (const auto& effect : effects) effects_[{effect.attack, effect.defense}].push_back(effect_json(effect));
  }

  Json json() {
    Json attacks = Json::array(), all = Json::array(), tries = Json::object();
    for (const auto& column : cells_.attacks()) {
      if (cells_.is_sweep(column)) tries[column] = cells_.tries(column);
      for (const auto& attack : cells_.tries(column)) {
        for (std::size_t d = 0; d < cells_.defenses().size(); ++d) {
          const auto* group = cells_.results().find(cells_.model(), attack, cells_.defenses()[d]);
          if (group != nullptr) all.push_back(story(*group, attacks.size(), d, column));
        }
        attacks.push_back(attack);
      }
    }
    Json metrics = Json::array(), judges = Json::array(), costs = Json::array();
    for (const auto& id : cells_.metrics()) {
      metrics.push_back({id, unit(id)});
      if (id.starts_with("safe.")) judges.push_back(id.substr(id.find('.')));
    }
    for (const auto& spent : kCostFigures) costs.push_back(spent.shown);
    return {{"attacks", attacks},
            {"tries", tries},
            {"defenses", cells_.defenses()},
            {"metrics", metrics},
            {"judges", judges},
            {"costs", costs},
            {"cells", all},
            {"stages", stages_.table()},
            {"curves", stages_.curves()},
            {"sample_count", wanted_.each}};
  }

 private:
  Json story(const CellGroup& group, std::size_t attack, std::size_t defense, const std::string& column) {
    Json pooled = Json::array(), seeds = Json::array(), reports = Json::array();
    for (const auto& id : cells_.metrics()) {
      const auto found = group.metrics.find(id);
      const auto* metric = found == group.metrics.end() ? nullptr : &found->second;
      pooled.push_back(metric == nullptr ? Json(0) : figure_json(id, metric->value, metric->low, metric->high, metric->n));
    }
    for (const auto& row : group.rows) seeds.push_back(seed_json(row));
    for (const auto& [name, report] : group.reports) {
      reports.push_back({name, report.seeds == 0 ? "not finite" : fixed(report.value, 3)});
    }
    const auto effects = effects_.find({column, group.defense});
    const bool shown = cells_.group(column, group.defense) == &group;  // whose effects are its column's
    Json json = {{"attack", attack},
                 {"defense", defense},
                 {"rows", group.defender_rows},
                 {"pooled", pooled},
                 {"seeds", seeds},
                 {"reports", reports},
                 {"effects", shown && effects != effects_.end() ? effects->second : Json::array()}};
    if (!group.sweep.empty()) json["tried"] = group.tried;
    return json;
  }

  Json seed_json(const RunRow& row) {
    Json figures = Json::array(), stages = Json::array();
    for (const auto& id : cells_.metrics()) {
      const auto found = row.metrics.find(id);
      const auto* metric = found == row.metrics.end() ? nullptr : &found->second;
      figures.push_back(metric == nullptr ? Json(0) : figure_json(id, metric->value, metric->low, metric->high, metric->n));
    }
    std::vector<std::pair<std::string, std::string>> named(row.stages.begin(), row.stages.end());
    std::stable_sort(named.begin(), named.end(),
                     [](const auto& a, const auto& b) { return order_of(a.first) < order_of(b.first); });
    for (const auto& [name, key] : named) stages.push_back(stages_.back(name, key, row.folder));
    Json json = {
        {"seed", row.seed}, {"status", row.status}, {"message", row.message}, {"figures", figures}, {"stages", stages}};
    if (wanted_.each > 0) json["samples"] = samples_of(row);
    return json;
  }

  // The first of each kind, in the file's order.
  Json samples_of(const RunRow& row) {
    Json kept = Json::array();
    const auto key = row.stages.find("generate");
    if (key == row.stages.end()) return kept;
    std::map<std::string, std::int64_t> counts;
    read_samples(samples_file(row.folder, key->second), [&](const Sample& sample) {
      if (++counts[sample.kind] <= wanted_.each) kept.push_back(sample_json(sample, wanted_.text, samples_));
    });
    return kept;
  }

  const ModelCells& cells_;
  PageSamples wanted_;
  EmbeddedSamples& samples_;
  StageTable stages_;
  std::map<std::pair<std::string, std::string>, Json> effects_;  // by column and defense
};

}  // namespace

Json stories(const ModelCells& cells, const std::vector<DefenseEffect>& effects, const PageSamples& wanted,
             EmbeddedSamples& samples) {
  return Stories(cells, effects, wanted, samples).json();
}

}  // namespace holdfast
