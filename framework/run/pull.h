// A worker that takes work from a queue until there is none, or until its time is over.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/file.h"
#include "queue/queue.h"
#include "run/prepare.h"
#include "store/store.h"
#include "work/stage_request.h"

namespace holdfast {

/// How artifacts get into the worker's store and out of it, where it is not the run's own.
class StoreExchange {
 public:
  virtual ~StoreExchange() = default;
  /// Brings all that the stage reads, and names it where it lies here. Throws Error.
  virtual void bring(StageRequest& stage) = 0;
  /// Publishes the stage's artifact, of which the worker's store has `made`. Returns the manifest that counts, or nothing where
  /// the lease is lost. Throws Error.
  virtual std::optional<Manifest> publish(const Lease& lease, const Manifest& made) = 0;
};

struct PullOptions {
  fs::path store;
  StoreExchange* exchange = nullptr;  // none: the store is the run's own
  fs::path program;                   // started for the stages; empty: engine_program()
  std::set<std::string> devices = {"cpu"};
  std::size_t device_number = 0;       // which accelerator a stage gets that names none: 1 for "cuda:1"
  std::int64_t threads = 0;            // 0: as the run says, or all that this process may use
  std::optional<double> gib = {};      // of memory
  std::optional<double> seconds = {};  // until its end, from now
  double grace = 60;                   // seconds before its end at which it stops what it does
  double idle = 300;                   // seconds without work after which it ends
  double lost_after = 60;              // seconds without a beat after which others may take its work
  double patience = kPatience;         // seconds for which names may be seen late (Store)
  bool launched = false;               // a run started it, and where none shows itself that one is over
};

/// EX_TEMPFAIL: the status of a worker that was stopped with work left, so that whoever started it may start it again.
inline constexpr int kWorkLeft = 75;

enum class PullEnd {
  kNothingLeft,  // the run is over, or there was nothing to do for so long
  kStopped,      // by its time or a signal, with the work given back
};

/// Takes, runs and publishes until then. SIGUSR1, SIGTERM and SIGINT stop it: a training is kept where it stands. Throws Error
/// when the queue or the store cannot be written.
PullEnd pull(Queue& queue, const PullOptions& options);

}  // namespace holdfast
