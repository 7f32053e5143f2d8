// Judges score stored replies; any number of them over the same generations.
#pragma once

#include <holdfast/dataset.h>
#include <holdfast/params.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "learn/language_model.h"

namespace holdfast {

/// A probe with its reply. Tags of the probe: "kind" is "harmful", "benign" (an ordinary request), "borderline" (sounds unsafe
/// and is not) or "task" (utility); "category"; "answer" (what a right reply states, where that is known); "task" (the utility
/// task's name).
struct JudgedReply {
  std::string id;
  Conversation prompt;
  std::string reply;
  std::map<std::string, std::string> tags;
  Conversation served = {};  // the prompt as the model got it: through the attack's template and serve stages
  bool cut = false;          // max_new_tokens ended the reply
};

/// What one judge says of one reply: outcomes by metric id ("asr.keyword": 1), a metric's value being the mean over the replies
/// that have it, and unknown in the whole cell when one of them is not finite; the raw verdict, stored as it is; and the
/// SHA-256 of the prompt that a model judge was asked with, empty for rules.
struct Verdict {
  std::map<std::string, double> outcomes;
  Json raw;
  std::string prompt_digest = {};
};

/// Models that a judge may ask. Each must have been announced in Judge::needs().
class JudgeContext {
 public:
  virtual ~JudgeContext();
  /// The undefended aligned model of the cell's model and seed: one yardstick for every defense.
  virtual const LanguageModel& aligned_model() = 0;
  /// The weights that gave the replies. Serve stages do not stand before them.
  virtual const LanguageModel& served_model() = 0;
  /// The model that JudgeNeeds::model names.
  virtual const LanguageModel& judge_model() = 0;
};

struct JudgeNeeds {
  bool aligned_model = false;
  bool served_model = false;
  std::string model = {};  // path of a local judge model; its content enters the stage key
  std::string device = "cpu";
  std::string dtype = "default";
};

class Judge {
 public:
  virtual ~Judge();
  virtual JudgeNeeds needs() const { return {}; }
  /// One verdict a reply, in order.
  virtual std::vector<Verdict> score(const std::vector<JudgedReply>& replies, JudgeContext& context) const = 0;
};

/// A judge as a scenario names it: settings beside the name are its own (see params_state.h; mistakes are noted there).
std::unique_ptr<Judge> make_judge(const std::string& name, Params& params);
/// The same once more from the settings of the plan (base/planned_settings.h).
std::unique_ptr<Judge> made_judge(const Json& settings, const std::filesystem::path& folder);

struct JudgeInfo {
  std::string name;
  int revision;  // part of the judge stage's key
  std::string summary;
};
const std::vector<JudgeInfo>& judges();

}  // namespace holdfast
