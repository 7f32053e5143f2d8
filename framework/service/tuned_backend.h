// The backend that tunes and answers: a scenario's store, its workers, and the processes that chat.
#pragma once

#include <memory>

#include "service/backend.h"
#include "service/desk.h"
#include "store/store.h"

namespace holdfast {

struct BackendOptions {
  fs::path program;  // started as workers
  fs::path store;
};

class TunedBackend final : public Backend {
 public:
  /// The jobs are told what becomes of what is submitted. They and the scenario outlive it. Throws Error.
  TunedBackend(const Scenario& scenario, const BackendOptions& options, TuningListener& jobs);
  ~TunedBackend() override;

  void submit(const std::string& job, const TuningOrder& order) override;
  void stop(const std::string& job) override;
  std::optional<StageRequest> served(const std::string& offer, const std::optional<TuningOrder>& order) override;
  std::optional<StageRequest> moderator(const std::string& name) override;
  ChatAnswer ask(const ChatQuestion& question, const std::function<bool(const std::string&)>& on_text) override;
  std::vector<bool> flagged(const StageRequest& moderator, const std::vector<std::string>& texts) override;
  std::vector<std::int64_t> tokens(const StageRequest& served, const std::vector<Conversation>& rows,
                                   std::int64_t max_length) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
