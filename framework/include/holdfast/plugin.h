// What one plugin library says about itself.
#pragma once

#include <holdfast/abi.h>
#include <holdfast/error.h>
#include <holdfast/params.h>

#include <memory>
#include <type_traits>

namespace HOLDFAST_PUBLIC holdfast {

class Attack;
class Judge;
struct DefenseStages;

/// What a plugin is.
enum class PluginKind { kAttack, kDefense, kJudge };

/// Bits of Plugin::stages.
inline constexpr unsigned kStageAlign = 1, kStageScreen = 2, kStageTune = 4, kStageRepair = 8, kStageServe = 16,
                          kStagePretrain = 32;

/// What HOLDFAST_ATTACK, HOLDFAST_DEFENSE and HOLDFAST_JUDGE make.
struct Plugin {
  PluginKind kind;
  const char* name;  // kebab-case
  int revision;
  const char* summary;  // one sentence
  unsigned stages;      // of a defense
  std::shared_ptr<Attack> (*make_attack)(Params&);
  DefenseStages (*make_defense)(Params&);
  std::shared_ptr<Judge> (*make_judge)(Params&) = nullptr;
};

}  // namespace holdfast

/// The two symbols a plugin exports: its ABI tag, read by the loader before any code of the library runs, and its entry.
#define HOLDFAST_PLUGIN_ENTRY(plugin)                                                           \
  extern "C" __attribute__((visibility("default"))) const char HOLDFAST_ABI_TAG = 1;            \
  extern "C" __attribute__((visibility("default"))) const holdfast::Plugin* holdfast_plugin() { \
    static const holdfast::Plugin described = plugin;                                           \
    return &described;                                                                          \
  }
