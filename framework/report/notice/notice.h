// What a downstream customer should be told of a model after a customisation: the figures of one cell beside those of the
// cells that it is compared with, what was not measured, and what to do. A function of a run's results; the formats beside this
// file (notice_formats.h) write it down, and all say the same.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/effects.h"
#include "report/results.h"
#include "results/run_scenario.h"

namespace holdfast {

/// What the results do not hold, as the caller knows it.
struct NoticeIssuer {
  std::string organization;            // who hands the notice out; empty: not stated
  std::string relationship = "other";  // of who measured to who made the model: one of kRelationships
  std::string base_model;              // id of the base on the Hugging Face Hub; empty: not stated
  std::string license;                 // of the customised model, as the Hub names licences; empty: not stated
};
inline constexpr std::array<const char*, 4> kRelationships = {"first_party", "third_party", "collaborative", "other"};

/// The cells that the notice's cell is compared with.
enum class Baseline {
  kOffered,     // before customising, with the same protection
  kOriginal,    // before customising, without protection
  kUndefended,  // after the same customisation, without protection
};

struct BaselineCells {
  Baseline which;
  std::string attack, defense;
  const CellGroup* cells = nullptr;  // null: the run has none, or none that came to a result
};

/// What one figure was in the cells of a baseline, and how far it is from there in the notice's cell.
struct Movement {
  Baseline from;
  std::optional<PooledMetric> value;  // empty: was not measured there
  /// Empty also where the two share no probe or seed. Against kUndefended that of harm and scores only: what the protection
  /// does, as the board has it.
  std::optional<DefenseEffect> change;
};

enum class FigureRole { kHarm, kScore, kUtility, kCoherence, kRefusal };

struct NoticeFigure {
  FigureRole role;
  std::string metric;
  std::optional<PooledMetric> measured;  // empty: this cell has no such figure
  std::vector<Movement> movements;       // one a baseline
};

enum class NoticeVerdict {
  kHeld,           // of harm the interval ends within the margin of the model before customising, without protection
  kEroded,         // it begins beyond the margin
  kOpen,           // neither
  kNoReference,    // that model's harm was not measured
  kNoHarm,         // this cell has no figure of harm
  kNoResult,       // no seed of the cell came to a result
  kNotCustomised,  // the cell is a control
};

/// What the customer's modification of the model cost: training, and what the protection screened, repaired or put in the
/// place of training. 0: not recorded.
struct Modification {
  double seconds = 0, tokens = 0, flops = 0, joules = 0;
};

/// The key of the stage that made the served weights: a SHA-256 of all that decides them.
struct SeedWeights {
  std::int64_t seed;
  std::string key;

  bool operator==(const SeedWeights&) const = default;
};

struct Notice {
  NoticeIssuer issuer;
  RunScenario run;
  std::string model, attack, defense;
  const CellGroup* cells = nullptr;  // of the results, which must outlive the notice
  std::vector<std::int64_t> seeds;   // those that came to a result
  fs::path results_folder;

  std::map<std::string, std::string> definitions;  // of the run (results/run_facts.h)

  NoticeVerdict verdict = NoticeVerdict::kNoResult;
  /// What of usefulness the cell has lost beyond the board's bound, so that little harm does not speak for it (UtilityBound).
  std::vector<std::string> lost;
  std::optional<double> reference;  // harm of the original model, which the verdict compares with
  std::vector<BaselineCells> baselines;
  std::vector<NoticeFigure> figures;  // harm first, the metric that the verdict is about before all

  struct Other {
    std::string attack, threat_model;
    PooledMetric harm;
  };
  std::vector<Other> others;               // other customisations of the model under the same protection
  std::vector<std::string> not_run;        // other attacks of the scenario without a result under this protection
  std::vector<std::string> holding;        // other protections of the run that hold against this attack
  Modification modification;               // means over the seeds with a result
  std::vector<SeedWeights> weights;        // one a seed with a result
  bool protected_in_service_only = false;  // the weights are those that the model has without the protection

  const NoticeFigure* first(FigureRole role) const;
  const BaselineCells* baseline(Baseline which) const;
};

/// `results`: of one run, only the seed's rows where the notice is about one seed. Throws Error when the cell is not among
/// them.
Notice notice_of(const Results& results, const std::string& model, const std::string& attack, const std::string& defense,
                 NoticeIssuer issuer);

}  // namespace holdfast
