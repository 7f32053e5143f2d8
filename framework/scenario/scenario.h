// A scenario file, read, checked and resolved: everything a plan is made from.
#pragma once

#include <holdfast/judge.h>
#include <holdfast/trainer.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "plugin/plugin_host.h"
#include "scenario/data_source.h"
#include "scenario/probe_rows.h"

namespace holdfast {

/// A plugin or judge as a scenario uses it.
struct PluginUse {
  std::string name;
  int revision = 0;
  unsigned stages = 0;                         // of a defense: bits of Plugin::stages
  Json values = Json::object();                // the settings as given: what a worker constructs it from
  Json resolved = Json::object();              // every setting with its value: what stage keys see
  std::set<std::string> file_settings = {};    // those that name a file; `resolved` holds its digest
  std::map<std::string, fs::path> files = {};  // the file of each that was given
  fs::path library = {};                       // of a plugin
  std::string library_digest = {};
  std::string fault = {};  // why it cannot be used, though nothing is wrong with the scenario: its code died
  bool screen_uses_aligned = false;
  bool repair_uses_aligned = false;
  bool serve_uses_aligned = false;
  JudgeNeeds needs = {};  // of a judge; its model as an absolute path

  bool has(unsigned stage) const { return (stages & stage) != 0; }
};

struct ModelSpec {
  std::string name;
  std::string source;    // "organism", or an absolute path
  bool missing = false;  // gated and not there
  std::string device = "cpu";
  std::string dtype = "default";
  std::optional<DataSource> alignment;
  std::map<std::string, DataSource> corpora;
  std::vector<DataSource> probes;  // and utility tasks
  ProbeRows probe_rows;            // of all those sources, within the limit
};

struct AttackSpec {
  std::string name;
  std::optional<PluginUse> plugin;  // none: the control
  TrainingOptions finetune;
  bool wraps = false;                                 // asks the model through a template of its own
  std::vector<std::vector<Conversation>> asked = {};  // then: each model's probes, through it; empty where the plugin died
};

struct DefenseSpec {
  std::string name;
  std::vector<PluginUse> stack;  // empty: the undefended control
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
  double disk_budget_gib = 0;        // 0: none
  std::vector<std::string> missing;  // a sentence for each gated file that is not there; a plan can be made, a run cannot

  std::vector<ModelSpec> models;
  bool aligns = false;  // whether there is an [align] section
  TrainingOptions align;
  TrainingOptions finetune;
  std::vector<AttackSpec> attacks;    // "none" first
  std::vector<DefenseSpec> defenses;  // "none" first
  std::vector<PluginUse> judges;
  GenerateOptions generate;
  std::int64_t limit = 0;  // probes of each kind; 0: all
};

/// What a process needs to construct a plugin or judge (made_plugin.h), with the digests of all that it is made of.
Json settings_of(const PluginUse& use);

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
