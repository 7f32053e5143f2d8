// Several training stages of one defense acting in one training (<holdfast/defense.h> says what that means).
#pragma once

#include <holdfast/defense.h>

#include <memory>
#include <string>
#include <vector>

#include "learn/training_archive.h"

namespace holdfast {

struct TrainingMember {
  std::string name;  // of its plugin, for messages
  TrainingStage* stage = nullptr;
};

/// Calls the members' functions as one stage. Members must outlive it.
class TrainingStack {
 public:
  /// In the order of the defense's stack; none: plain training.
  explicit TrainingStack(std::vector<TrainingMember> members);

  /// Of the members.
  std::vector<std::string> names() const;
  void begin(Trainer& trainer);
  /// Throws Error, naming both, when a member does not hand a batch to the one inside it, or one takes no or more than the
  /// batch that it is handed.
  double step(Trainer& trainer);
  void finish(Trainer& trainer);
  /// False when a member keeps something that no checkpoint holds.
  bool write(ArchivedTensors& kept);
  void read(const ArchivedTensors& kept);

 private:
  friend class MemberTrainer;

  struct Handed {  // what a member outside gives to the one inside it
    const Batches& batches;
    const Loss& loss;
  };

  double step(Trainer& trainer, std::size_t member, const Handed* handed);
  std::string prefix(std::size_t member) const { return std::to_string(member) + " " + members_[member].name + "/"; }

  std::vector<TrainingMember> members_;
  std::vector<bool> ran_;  // in this step
};

}  // namespace holdfast
