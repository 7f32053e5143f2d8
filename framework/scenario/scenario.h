// A scenario file, read, checked and resolved: everything a plan is made from.
#pragma once

#include <holdfast/judge.h>
#include <holdfast/trainer.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "plugin/plugin_host.h"
#include "plugin/threat_model.h"
#include "provider/settings.h"
#include "scenario/cluster.h"
#include "scenario/data_source.h"
#include "scenario/plugin_use.h"
#include "scenario/probe_rows.h"
#include "scenario/service.h"

namespace holdfast {

struct ModelSpec {
  std::string name;
  std::string source;     // "organism", or an absolute path; empty: it is behind a provider's interface
  bool missing = false;   // gated and not there
  std::string base = {};  // the pre-trained model that defenses may ask for; empty where there is none
  std::string device = "cpu";
  std::string dtype = "default";
  std::optional<DataSource> pretraining = {};  // its corpus, where a defense takes part in making the model's base
  std::optional<DataSource> alignment;
  std::map<std::string, DataSource> corpora;
  std::vector<DataSource> probes;                 // and utility tasks
  ProbeRows probe_rows;                           // of all those sources, within the limit
  std::optional<ProviderSettings> provider = {};  // then there are no weights, and none of the fields about them
};

/// The untuned model asked through an attack's template, as a column of the board.
struct WrappedControl {
  std::string name;             // "none@<attack>"
  std::string sweep = {};       // where the tries of one ask in several ways: "none@<sweep>"
  Json tried = Json::object();  // then: what they set of the plugin
};

/// A column of the board, or a try of one. An attack that asks its models in several ways (Attack::askings) has one for each,
/// "<attack>@<way>"; each try of a sweep is an attack of its own, "<attack>#<what it sets>@<way>".
struct AttackSpec {
  std::string name;
  std::optional<PluginUse> plugin;
  TrainingOptions finetune;
  std::string sweep = {};       // whose try it is: "<attack>@<way>"; empty where it is none
  Json tried = Json::object();  // then: what it sets
  ThreatModel threat = ThreatModel::kApi;
  std::string asking = {};                            // which of the plugin's ways
  bool decodes = false;                               // judges read replies through the plugin
  bool wraps = false;                                 // asks the model through a template of its own
  std::optional<WrappedControl> control = {};         // then: its control, unless another try of its sweep asks alike
  std::vector<std::vector<Conversation>> asked = {};  // then: each model's probes, through it; empty where the plugin died
  std::optional<DataSource> rows = {};                // in the place of a plugin: submitted as they are

  bool is_control() const { return !plugin && !rows; }
};

struct DefenseSpec {
  std::string name;
  std::vector<PluginUse> stack;  // empty: the undefended control

  /// Whether all of it stands against such an attack: what is screened, tuned, repaired and served by a provider does not where
  /// the attacker holds the weights.
  bool stands_against(ThreatModel threat) const;
};

/// Whom a customer's rows would have to pass: a screen stage that is asked about every attack's rows, and changes no cell.
struct ModeratorSpec {
  std::string name;
  PluginUse plugin;
};

struct Scenario {
  fs::path path;
  fs::path folder;  // absolute; where relative settings of plugins start
  std::string name;
  std::vector<std::int64_t> seeds = {1};
  std::int64_t workers = 1;
  std::int64_t threads = 0;          // 0: cores / workers
  double stage_timeout = 7200;       // seconds
  double memory_limit_gib = 0;       // 0: none
  double file_limit_gib = 0;         // of a file that a stage writes; 0: none
  bool network = false;              // also for stages whose settings name no URL
  double disk_budget_gib = 0;        // 0: none
  std::vector<std::string> missing;  // a sentence for each gated file that is not there; a plan can be made, a run cannot

  std::vector<ModelSpec> models;
  bool aligns = false;  // whether there is an [align] section
  TrainingOptions align;
  std::optional<std::int64_t>
      align_seed;  // that the provider's stages draw with, as he has one model for all; none: the cell's own
  TrainingOptions finetune;
  std::vector<AttackSpec> attacks;    // "none" first
  std::vector<DefenseSpec> defenses;  // "none" first
  std::vector<ModeratorSpec> moderators;
  std::vector<PluginUse> judges;
  GenerateOptions generate;
  std::int64_t limit = 0;              // probes of each kind; 0: all
  double utility_bound = 0.10;         // share of utility that a cell of the board may have lost
  Json reference;                      // controls that the board's are compared with; null: none
  bool customer = false;               // whether it is measured what the served weights learned of the customer's rows
  Json prices;                         // [prices]: {"currency", "training_token", "device_hour": {device: n}}; null: none
  std::optional<ClusterSpec> cluster;  // [cluster]
  std::optional<ServiceSpec> service;  // [service]
  std::int64_t gang = 8;               // the most stages that a worker runs together; 1: none
};

/// Why an attack or a defense has no cells with a model behind a provider's interface: what it needs that only who has the
/// weights can do or see, as the end of a sentence. Empty: it has cells.
std::string what_needs_weights(const AttackSpec& attack);
std::string what_needs_weights(const DefenseSpec& defense);
/// Whether the matrix has cells of these three.
bool meet(const ModelSpec& model, const AttackSpec& attack, const DefenseSpec& defense);

/// A sentence for each attack and defense whose plugin died: the cells that need it cannot be had.
std::vector<std::string> faults(const Scenario& scenario);

/// Reads and checks a scenario. Throws one Error that lists every mistake, a line each, as "file:line:column: sentence".
Scenario load_scenario(const fs::path& path, PluginHost& plugins);

/// The scenario as it was understood, for run.json.
Json to_json(const Scenario& scenario);

/// A digest for each cell, seeds and judges apart: of all settings that decide its replies, and not of what stands in files, so
/// that it is the same wherever the scenario is read. [{"model", "attack", "defense", "digest"}]
Json configurations(const Scenario& scenario);

}  // namespace holdfast
