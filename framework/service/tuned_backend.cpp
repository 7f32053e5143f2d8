#include "service/tuned_backend.h"

#include <algorithm>

#include "run/local_workers.h"
#include "run/worker_setup.h"

namespace holdfast {
namespace {

constexpr double kChatPatience = 600;  // seconds for which clients wait for an answer

}  // namespace

struct TunedBackend::State {
  State(const Scenario& scenario, const BackendOptions& options, TuningListener& jobs)
      : store(options.store),
        workers(worker_setup(scenario, options.program, options.store, scenario.workers), scenario.workers,
                scenario.stage_timeout),
        chats(worker_setup(scenario, options.program, options.store, scenario.service->chat_workers),
              scenario.service->chat_workers, std::min(kChatPatience, scenario.stage_timeout)),
        runner(scenario, store, workers, jobs) {}

  Store store;
  LocalWorkers workers;
  ChatPool chats;
  TuningRunner runner;
};

TunedBackend::TunedBackend(const Scenario& scenario, const BackendOptions& options, TuningListener& jobs)
    : state_(std::make_unique<State>(scenario, options, jobs)) {}

TunedBackend::~TunedBackend() = default;

void TunedBackend::submit(const std::string& job, const TuningOrder& order) { state_->runner.submit(job, order); }

void TunedBackend::stop(const std::string& job) { state_->runner.stop(job); }

std::optional<StageRequest> TunedBackend::served(const std::string& offer, const std::optional<TuningOrder>& order) {
  return state_->runner.served(offer, order);
}

std::optional<StageRequest> TunedBackend::moderator(const std::string& name) { return state_->runner.moderator(name); }

ChatAnswer TunedBackend::ask(const ChatQuestion& question, const std::function<bool(const std::string&)>& on_text) {
  return state_->chats.ask(question, on_text);
}

std::vector<bool> TunedBackend::flagged(const StageRequest& moderator, const std::vector<std::string>& texts) {
  return state_->chats.flagged(moderator, texts);
}

std::vector<std::int64_t> TunedBackend::tokens(const StageRequest& served, const std::vector<Conversation>& rows,
                                               std::int64_t max_length) {
  return state_->chats.tokens(served, rows, max_length);
}

}  // namespace holdfast
