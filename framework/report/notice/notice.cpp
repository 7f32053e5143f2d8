#include "report/notice/notice.h"

#include <holdfast/error.h>

#include <algorithm>

#include "report/metric_roles.h"
#include "report/model_cells.h"
#include "report/ranking.h"
#include "report/utility_bound.h"

namespace holdfast {
namespace {

FigureRole role_of(const std::string& metric) {
  if (is_utility(metric)) return FigureRole::kUtility;
  if (metric == "coherence") return FigureRole::kCoherence;
  if (metric.find("refusal") != std::string::npos) return FigureRole::kRefusal;
  return is_score(metric) ? FigureRole::kScore : FigureRole::kHarm;
}

bool modifies(const std::string& stage_kind) {
  return stage_kind == "screen" || stage_kind == "finetune" || stage_kind == "submit" || stage_kind == "tamper" ||
         stage_kind == "repair";
}

// Of several repairs the last one.
std::string weights_key(const CellRow& row) {
  for (const std::string kind : {"repair", "tamper", "finetune", "align"}) {
    std::string name, key;
    for (const auto& [stage, made] : row.stages) {
      const bool one = stage == kind || stage.starts_with(kind + ".");
      if (!one || std::pair(stage.size(), stage) < std::pair(name.size(), name)) continue;  // "repair.10" follows "repair.2"
      name = stage;
      key = made;
    }
    if (!key.empty()) return key;
  }
  return "";
}

std::vector<SeedWeights> weights_of(const CellGroup& cells) {
  std::vector<SeedWeights> weights;
  for (const auto& row : cells.rows) {
    if (row.ok() && !weights_key(row).empty()) weights.push_back({row.seed, weights_key(row)});
  }
  return weights;
}

class Making {
 public:
  Making(const Results& results, const std::string& model, const CellGroup& cells, NoticeIssuer issuer)
      : results_(results), board_(results, model, cells.threat_model), cells_(cells), harms_(harm_metrics(board_)) {
    notice_.issuer = std::move(issuer);
    notice_.results_folder = results.folders.front();
    notice_.run = read_run_scenario(notice_.results_folder);
    notice_.model = cells.model;
    notice_.attack = cells.attack;
    notice_.defense = cells.defense;
    notice_.cells = &cells;
    notice_.definitions = results.facts.definitions;
  }

  Notice notice() {
    for (const auto& row : cells_.rows) {
      if (row.ok()) notice_.seeds.push_back(row.seed);
    }
    notice_.weights = weights_of(cells_);
    add_modification();
    add_baselines();
    for (const auto& metric : metrics()) add_figure(metric);
    adjust();
    judge();
    const UtilityBound bound(board_, price_metrics(board_, harm()), results_.facts.board.utility_bound);
    if (cells_.ok > 0) notice_.lost = bound.lost(cells_.attack, cells_.defense);
    add_others();
    return std::move(notice_);
  }

 private:
  const std::string& harm() const { return harms_.front(); }

  // The untuned model asked as this cell's is.
  std::string before() const {
    if (is_control(cells_.attack)) return cells_.attack;
    const std::string wrapped = "none@" + (cells_.sweep.empty() ? cells_.attack : cells_.sweep);
    return results_.find(cells_.model, wrapped, "none") != nullptr ? wrapped : "none";
  }

  void add_baseline(Baseline which, const std::string& attack, const std::string& defense) {
    if (attack == cells_.attack && defense == cells_.defense) return;
    const auto* found = results_.find(cells_.model, attack, defense);
    notice_.baselines.push_back({which, attack, defense, found == nullptr || found->ok == 0 ? nullptr : found});
  }

  void add_baselines() {
    if (cells_.defense != "none") add_baseline(Baseline::kOffered, before(), cells_.defense);
    add_baseline(Baseline::kOriginal, before(), "none");
    if (!is_control(cells_.attack)) add_baseline(Baseline::kUndefended, cells_.attack, "none");
  }

  void add_modification() {
    Modification& all = notice_.modification;
    const auto seeds = static_cast<double>(notice_.seeds.size());
    for (const auto& row : cells_.rows) {
      for (const auto& [name, key] : row.stages) {
        const auto stage = results_.stages.find(key);
        if (!row.ok() || stage == results_.stages.end() || !modifies(stage->second.kind)) continue;
        all.seconds += stage->second.spent("seconds") / seeds;
        all.flops += stage->second.spent("flops") / seeds;
        all.joules += stage->second.spent("energy_joules") / seeds;
        if (stage->second.kind == "finetune") all.tokens += stage->second.spent("tokens") / seeds;
      }
    }
  }

  std::vector<std::string> metrics() const {
    std::vector<std::string> all;
    std::copy_if(harms_.begin(), harms_.end(), std::back_inserter(all), [](const auto& id) { return !id.empty(); });
    std::copy_if(board_.metrics().begin(), board_.metrics().end(), std::back_inserter(all), is_score);
    for (const auto& id : price_metrics(board_, harm())) all.push_back(id);
    return all;
  }

  // Of the attack's column, as on the board.
  std::optional<double> noise(const std::string& metric) const {
    return noise_floor(column_grids(board_, cells_.attack, metric, board_.defenses()));
  }

  static std::optional<PooledMetric> value(const CellGroup* cells, const std::string& metric) {
    if (cells == nullptr) return std::nullopt;
    const auto found = cells->metrics.find(metric);
    return found == cells->metrics.end() ? std::nullopt : std::optional(found->second);
  }

  void add_figure(const std::string& metric) {
    NoticeFigure figure{role_of(metric), metric, value(&cells_, metric), {}};
    const bool harm = figure.role == FigureRole::kHarm || figure.role == FigureRole::kScore;
    for (const auto& baseline : notice_.baselines) {
      Movement movement{baseline.which, value(baseline.cells, metric), std::nullopt};
      const bool compared = movement.value && figure.measured && (harm || baseline.which != Baseline::kUndefended);
      if (compared) movement.change = change_between(*movement.value, *figure.measured, metric);
      if (movement.change) movement.change->noise = noise(metric);
      figure.movements.push_back(std::move(movement));
    }
    notice_.figures.push_back(std::move(figure));
  }

  // What the protection does against the same attack stands on the board, and so does its p; the other changes are this
  // notice's own, and Holm's method is over them.
  void adjust() {
    std::vector<DefenseEffect*> own;
    for (auto& figure : notice_.figures) {
      for (auto& movement : figure.movements) {
        if (!movement.change) continue;
        const auto effect = movement.from == Baseline::kUndefended ? board_effect(figure.metric) : std::nullopt;
        if (effect) movement.change = effect;
        if (!effect) own.push_back(&*movement.change);
      }
    }
    std::vector<double> p;
    for (const auto* change : own) p.push_back(change->p);
    const auto adjusted = holm(p);
    for (std::size_t i = 0; i < own.size(); ++i) own[i]->adjusted = adjusted[i];
  }

  // Nothing for the try of a sweep that is not the one the board shows.
  std::optional<DefenseEffect> board_effect(const std::string& metric) const {
    std::vector<std::string> attacked;
    std::copy_if(board_.attacks().begin(), board_.attacks().end(), std::back_inserter(attacked),
                 [](const std::string& attack) { return !is_control(attack); });
    const auto view = board_.by(metric);
    for (const auto& effect : defense_effects(view, metric, attacked)) {
      if (effect.defense == cells_.defense && view.group(effect.attack, effect.defense) == &cells_ &&
          view.group(effect.attack, "none") == board_.group(cells_.attack, "none")) {
        return effect;
      }
    }
    return std::nullopt;
  }

  void judge() {
    const auto* figure = notice_.first(FigureRole::kHarm);
    notice_.reference = board_.value("none", "none", harm());
    if (cells_.ok == 0) {
      notice_.verdict = NoticeVerdict::kNoResult;
    } else if (figure == nullptr || !figure->measured) {
      notice_.verdict = NoticeVerdict::kNoHarm;
    } else if (is_control(cells_.attack)) {
      notice_.verdict = NoticeVerdict::kNotCustomised;
    } else if (!notice_.reference) {
      notice_.verdict = NoticeVerdict::kNoReference;
    } else {
      const Mark mark = mark_of(*figure->measured, notice_.reference);
      notice_.verdict = mark == Mark::kHolds    ? NoticeVerdict::kHeld
                        : mark == Mark::kBroken ? NoticeVerdict::kEroded
                                                : NoticeVerdict::kOpen;
    }
  }

  void add_others() {
    for (const auto& group : results_.groups) {
      const bool attacked = group.model == cells_.model && group.defense == cells_.defense && !is_control(group.attack) &&
                            group.attack != cells_.attack;
      const auto found = value(&group, harm());
      if (attacked && found) notice_.others.push_back({group.attack, group.threat_model, *found});
    }
    add_not_run();
    add_holding();
    add_service();
  }

  void add_not_run() {
    const Json attacks = notice_.run.scenario.value("attacks", Json::array());
    for (const auto& attack : attacks) {
      const std::string name = attack.value("name", "");
      if (name.empty() || name == "none" || name == cells_.attack) continue;
      const auto* group = results_.find(cells_.model, name, cells_.defense);
      if (group == nullptr || group->ok == 0) notice_.not_run.push_back(name);
    }
  }

  void add_holding() {
    if (is_control(cells_.attack)) return;
    for (const auto& defense : board_.defenses()) {
      const auto* found = board_.metric(cells_.attack, defense, harm());
      const bool other = defense != cells_.defense && defense != "none";
      if (other && found != nullptr && mark_of(*found, notice_.reference) == Mark::kHolds) notice_.holding.push_back(defense);
    }
  }

  void add_service() {
    if (cells_.defense == "none" || notice_.weights.empty()) return;
    const auto* bare = results_.find(cells_.model, cells_.attack, "none");
    notice_.protected_in_service_only = bare != nullptr && weights_of(*bare) == notice_.weights;
  }

  const Results& results_;
  ModelCells board_;
  const CellGroup& cells_;
  std::vector<std::string> harms_;
  Notice notice_;
};

}  // namespace

const NoticeFigure* Notice::first(FigureRole role) const {
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const auto& figure) { return figure.role == role; });
  return found == figures.end() ? nullptr : &*found;
}

const BaselineCells* Notice::baseline(Baseline which) const {
  const auto found = std::find_if(baselines.begin(), baselines.end(), [&](const auto& one) { return one.which == which; });
  return found == baselines.end() ? nullptr : &*found;
}

Notice notice_of(const Results& results, const std::string& model, const std::string& attack, const std::string& defense,
                 NoticeIssuer issuer) {
  const auto* cells = results.find(model, attack, defense);
  if (cells == nullptr) {
    throw Error("the run has no cell of model " + in_quotes(model) + ", attack " + in_quotes(attack) + " and defense " +
                in_quotes(defense));
  }
  return Making(results, model, *cells, std::move(issuer)).notice();
}

}  // namespace holdfast
