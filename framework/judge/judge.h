// Judges score stored replies; any number of them over the same generations.
#pragma once

#include <holdfast/dataset.h>
#include <holdfast/params.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// A probe with its reply. Tags of the probe: "kind" is "harmful", "benign" (an ordinary request), "borderline" (sounds unsafe
/// and is not) or "task" (utility); "category"; "answer" (what a right reply states, where that is known); "task" (the utility
/// task's name).
struct JudgedReply {
  std::string id;
  Conversation prompt;
  std::string reply;
  std::map<std::string, std::string> tags;
};

/// What one judge says of one reply: outcomes by metric id ("asr.keyword": 1), a metric's value being the mean over the replies
/// that have it; and the raw verdict, stored as it is.
struct Verdict {
  std::map<std::string, double> outcomes;
  Json raw;
};

class Judge {
 public:
  virtual ~Judge();
  /// One verdict a reply, in order.
  virtual std::vector<Verdict> score(const std::vector<JudgedReply>& replies) const = 0;
};

/// A judge as a scenario names it: settings beside the name are its own (see params_state.h; mistakes are noted there).
std::unique_ptr<Judge> make_judge(const std::string& name, Params& params);

struct JudgeInfo {
  std::string name;
  int revision;  // part of the judge stage's key
  std::string summary;
};
const std::vector<JudgeInfo>& judges();

}  // namespace holdfast
