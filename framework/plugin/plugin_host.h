// Plugins as the program sees them. Their code runs in a process of its own (plugin_server.h), so that whatever it does there,
// die or hang, is a sentence here.
#pragma once

#include <holdfast/dataset.h>
#include <holdfast/error.h>
#include <holdfast/judge.h>

#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/params_state.h"
#include "base/worker_process.h"
#include "plugin/known_libraries.h"

namespace holdfast {

/// What a library says of its plugin, by value.
struct PluginInfo {
  PluginKind kind = PluginKind::kAttack;
  std::string name;
  int revision = 0;
  std::string summary;
  unsigned stages = 0;
  fs::path path;
  std::string digest;  // SHA-256 of the library
};

/// One way in which an attack asks (Asking).
struct AskingTraits {
  std::string name;
  bool decodes = false;  // judges read something else than the reply
};

/// What a constructed plugin says of itself: bits of Plugin::stages of which something holds (of an attack the bit stands for
/// collecting), and what a judge needs.
struct PluginTraits {
  unsigned need_aligned = 0;               // needs() names kNeedsAligned
  unsigned need_base = 0;                  // needs() names kNeedsBase
  unsigned draw = 0;                       // draws_itself()
  std::set<std::string> corpora = {};      // that its settings name
  std::vector<AskingTraits> askings = {};  // of an attack
  bool tampers = false;                    // it is an attack on weights
  JudgeNeeds judge = {};
};
inline constexpr unsigned kStageCollect = 64;

struct RefusedPlugin {
  fs::path path;
  std::string reason;      // one sentence that names the file
  bool is_faulty = false;  // it fits this program, and its code died or hung while it was loaded
};

/// A plugin's code died, hung or threw where it may not: nothing that another setting mends. what() names the library.
class PluginFault : public Error {
 public:
  using Error::Error;
  ~PluginFault() override;
};

class PluginHost {
 public:
  /// Asks every *.plugin.so of the folders, in order of precedence, what it is; one whose content said it before is not loaded
  /// for that (known_libraries.h). Two plugins of one kind and name: the first stays, the second is refused. A folder that does
  /// not exist is an Error. `program` is this program; a plugin that takes
  /// longer than `seconds` over one question hangs, and a library that takes longer than 20 s to load.
  PluginHost(fs::path program, const std::vector<fs::path>& folders, double seconds = 60);
  ~PluginHost();

  const std::vector<PluginInfo>& loaded() const { return loaded_; }
  const std::vector<RefusedPlugin>& refused() const { return refused_; }
  /// Null when there is none of that name.
  const PluginInfo* find(PluginKind kind, const std::string& name) const;
  std::vector<std::string> names(PluginKind kind) const;  // sorted

  /// Constructs the plugin with the values of `state`, and notes there what it declared, resolved and found wrong. Throws an
  /// Error of the constructor as Error, all else as PluginFault.
  PluginTraits make(const PluginInfo& plugin, Params::State& state);
  /// The prompts as the attack's way of asking of that name leaves them. `settings` and `folder` as for made_attack. Throws
  /// PluginFault.
  std::vector<Conversation> wrap(const Json& settings, const fs::path& folder, const std::string& asking,
                                 const std::vector<Conversation>& prompts);

  /// A shorter limit than the one it was made with.
  void limit(double seconds);

 private:
  struct Death {
    std::string how;
  };

  void describe(const fs::path& path, KnownLibraries& known);
  Json description(const fs::path& path, KnownLibraries& known);
  Json ask(const fs::path& library, const Json& question, const std::string& doing, double seconds);
  void start();
  // The answer of the process that there is, or how it ended.
  std::variant<Json, Death> ask_process(const Json& question, double seconds);

  fs::path program_;
  double seconds_;
  std::vector<PluginInfo> loaded_;
  std::vector<RefusedPlugin> refused_;
  std::unique_ptr<WorkerProcess> process_;
  std::set<fs::path> asked_;  // libraries that the process has loaded
};

}  // namespace holdfast
