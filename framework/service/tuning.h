// Jobs of customers as stages of the store: screened, tuned and repaired behind one of the models on offer.
#pragma once

#include <holdfast/trainer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "results/curve.h"
#include "run/workers.h"
#include "scenario/scenario.h"
#include "store/store.h"

namespace holdfast {

/// All that decides what a job makes: two with the same are the same stages, and one model.
struct TuningOrder {
  std::string offer;  // OfferSpec::id
  DataSource rows;    // what the customer submits, as they are
  std::int64_t seed = 1;
  TrainingOptions options;
};

/// What the screen stages of the offer's defense left of the customer's rows, which have numbers from 1.
struct ScreenedRows {
  std::int64_t submitted = 0;
  std::vector<std::int64_t> dropped;  // or rewritten: no longer as they were
  std::int64_t added = 0;             // rows that he did not submit
};

struct TuningSucceeded {
  std::int64_t trained_tokens = 0;  // that the training read, every epoch counted
  std::int64_t rows_trained = 0;
  std::vector<CurvePoint> curve;
  std::string model_digest;  // of the weights that are served
};
struct TuningFailed {
  std::string message;
  bool no_rows_left = false;  // screening took all of them
};
/// It was asked to: what it has is kept, and the same order goes on from there.
struct TuningStopped {};
using TuningEnd = std::variant<TuningSucceeded, TuningFailed, TuningStopped>;

/// Told of what becomes of orders, by the runner's own thread, which holds no lock then; returns soon, and throws nothing.
class TuningListener {
 public:
  virtual ~TuningListener() = default;
  /// A stage of that kind begins (or was stored already): kCollect and kScreen validate, kFinetune runs, kRepair repairs. Once
  /// for each kind that the order has, pretrain and align among them.
  virtual void began(const std::string& job, StageKind kind) = 0;
  /// Once, before the fine-tuning begins, whether or not the offer's defense screens.
  virtual void screened(const std::string& job, const ScreenedRows& rows) = 0;
  /// Of the fine-tuning. What a training worker says about once a second: {"unit", "done", "total", "loss", "rate"}.
  virtual void progressed(const std::string& job, const Json& progress) = 0;
  /// Last, and once.
  virtual void ended(const std::string& job, const TuningEnd& end) = 0;
};

/// Runs orders, first come first served, as many at a time as there are workers. Stages that the store has, or that another job
/// is at, are not run again; one that other orders wait for goes on where one of them is stopped. For any thread.
class TuningRunner {
 public:
  /// Begins with the weights on offer (pretrain, align) and of the moderator. `service` has a [service] and is copied; what
  /// else is given outlives it. `store` and `workers` are used by its thread alone, and writing to a dead worker must be no
  /// signal (run/interruption.h). Throws Error where the scenario would drop customers' models, and where a model's files are
  /// gone.
  TuningRunner(const Scenario& service, Store& store, Workers& workers, TuningListener& listener);
  /// Within seconds. What is under way is kept where it stands, and nobody is told: the same orders go on from there once they
  /// are submitted to another runner.
  ~TuningRunner();
  TuningRunner(const TuningRunner&) = delete;
  TuningRunner& operator=(const TuningRunner&) = delete;

  /// `job` names it to the listener; it is unique among those that have not ended. Throws Error for an offer that there is not.
  void submit(const std::string& job, const TuningOrder& order);
  /// Soon it ends as stopped, if it has not ended. A worker that is at it alone is asked to keep what it has; it may be at that
  /// some seconds longer.
  void stop(const std::string& job);

  /// What asks the offer's base (no order) or an order's model, as the generate stage behind all its serve stages: a request
  /// without prompts (service/chat.h), whose key names what answers. Nothing where not all of its weights are in the store.
  /// Reads the store alone, so it answers for what an earlier runner made, too. Throws Error for an offer that there is not.
  std::optional<StageRequest> served(const std::string& offer, const std::optional<TuningOrder>& order);
  /// A [[moderator]]'s screen stage for whatever texts, behind the first model on offer. Nothing where its weights are not
  /// there yet. Throws Error for a name that there is not.
  std::optional<StageRequest> moderator(const std::string& name);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
