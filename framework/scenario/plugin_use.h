// A plugin or judge as a scenario uses it.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/params_state.h"
#include "plugin/plugin_host.h"

namespace holdfast {

struct PluginUse {
  std::string name;
  int revision = 0;
  unsigned stages = 0;                          // of a defense: bits of Plugin::stages
  Json values = Json::object();                 // the settings as given: what a worker constructs it from
  Json resolved = Json::object();               // every setting with its value: what stage keys see
  std::set<std::string> file_settings = {};     // those that name files; `resolved` holds their digests
  std::map<std::string, KeyedFile> files = {};  // Params::State::files
  fs::path library = {};                        // of a plugin
  std::string library_digest = {};
  std::string fault = {};  // why it cannot be used, though nothing is wrong with the scenario: its code died
  PluginTraits traits = {};
  JudgeNeeds needs = {};  // of a judge; its model as an absolute path

  bool has(unsigned stage) const { return (stages & stage) != 0; }
};

/// What a process needs to construct a plugin or judge (made_plugin.h), with the digests of all that it is made of.
Json settings_of(const PluginUse& use);

/// As run.json names it: name, revision, and every setting with its value.
Json to_json(const PluginUse& use);

}  // namespace holdfast
