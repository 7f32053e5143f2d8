// Plugins' stages that a worker keeps constructed between questions: what they derive from settings, seed and models they
// derive once.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "work/serving.h"
#include "work/stage_context.h"
#include "work/stages.h"
#include "work/temporary_files.h"

namespace holdfast {

/// The stages that a request names, with what they may ask.
class KeptStage {
 public:
  /// Of a generate stage its serve stages, of a screen stage its plugin's. Throws Error where one cannot be constructed.
  KeptStage(const StageRequest& request, StageTools& tools);

  /// Nearest to the model first.
  const std::vector<NamedServe>& serve() const { return serve_; }
  ScreenStage& screen() const { return *screen_; }
  Context& context() { return context_; }

 private:
  DefenseStages& add(const Json& settings);

  const StageRequest request_;
  TemporaryFolder temporary_;  // what was made while they were constructed lasts as long as they do
  StageContext context_;
  std::vector<DefenseStages> made_;  // own those below
  std::vector<NamedServe> serve_;
  ScreenStage* screen_ = nullptr;
};

class KeptStages {
 public:
  explicit KeptStages(StageTools& tools) : tools_(tools) {}

  /// The same for requests that give their stages the same to see; the last used ones stay.
  std::shared_ptr<KeptStage> of(const StageRequest& request);

 private:
  struct Entry {
    std::string seen;
    std::shared_ptr<KeptStage> stage;
  };

  StageTools& tools_;
  std::deque<Entry> entries_;  // last used first
};

/// Whether serve stages stand between the model of a generate stage and whoever asks.
bool has_serve_stages(const StageRequest& served);

}  // namespace holdfast
