// A scenario while it is read: what the readers of its sections share.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugin/plugin_host.h"
#include "scenario/scenario.h"
#include "scenario/scenario_table.h"

namespace holdfast {

struct Reading {
  Reading(const fs::path& path, PluginHost& plugins);

  Scenario scenario;
  Mistakes mistakes;
  PluginHost& plugins;
  bool organism_only = false;                                            // the organism brings data, probes and a judge
  std::set<fs::path> missing;                                            // gated, and not there
  std::optional<DataSource> alignment;                                   // of [align]
  std::map<std::string, DataSource> corpora;                             // of [corpora]
  std::vector<std::pair<toml::source_region, std::string>> untrainable;  // dtypes of models, and why
};

/// What `text`, the value of `key`, names (data_source.h); none, and a mistake, when it cannot be read. A gated file that is
/// missing stands for itself.
std::optional<DataSource> read_data(Reading& reading, ScenarioTable& table, const std::string& key, const std::string& text,
                                    Dataset* rows = nullptr, const DataPart& part = {});

/// The absolute path of a checkpoint that `key` of the table names; "organism" stays.
std::string model_path(Reading& reading, const std::string& text, ScenarioTable& table, const std::string& key);

/// Notes a name that another `what` ("attack", "defense") has, and names that are the controls'.
void check_name(ScenarioTable& table, std::set<std::string>& names, const std::string& name, const std::string& what);

}  // namespace holdfast
