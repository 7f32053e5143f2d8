// The stages behind the models that the service serves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "plan/plan.h"
#include "scenario/scenario.h"
#include "service/tuning.h"
#include "store/store.h"

namespace holdfast {

/// Of one model on offer, or of what an order makes of it.
struct Pipeline {
  Plan made;  // what makes its weights, and nothing else
  // Nodes of it; none: it has no such stage, or the weights are the checkpoint's own.
  std::optional<std::size_t> submitted, screened, tuned, weights;  // the last screen stage's; without one, what was submitted

  Plan whole;              // that, and the stages that ask the weights
  std::size_t asking = 0;  // the last of those, in `whole`
};

/// Makes pipelines from a scenario with a [service], and remembers them. For any thread.
class Pipelines {
 public:
  explicit Pipelines(const Scenario& service);

  const ServiceSpec& service() const { return *service_.service; }

  // All throw Error for a name that there is not, and where a model's files are gone.
  std::shared_ptr<const Pipeline> base(const std::string& offer);
  std::shared_ptr<const Pipeline> of(const TuningOrder& order);
  /// Asking is its screen stage.
  std::shared_ptr<const Pipeline> moderator(const std::string& name);

 private:
  const OfferSpec& offer(const std::string& id) const;
  Scenario cell(const std::string& model, const std::string& defense, AttackSpec attack, std::int64_t seed) const;
  std::shared_ptr<const Pipeline> once(const std::string& name, const std::function<Pipeline()>& make);

  Scenario service_;  // without what is measured
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Pipeline>> made_;
};

/// The request of the stage that asks a pipeline's weights, without what it is asked: no prompts, rows or replies. Its key
/// names what answers: weights, stages around them, options. Nothing where weights are missing in the store, or their files.
std::optional<StageRequest> asking_request(const Pipeline& pipeline, Store& store);

}  // namespace holdfast
