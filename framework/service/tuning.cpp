#include "service/tuning.h"

#include <holdfast/error.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "service/pipeline.h"
#include "service/tuning_loop.h"

namespace holdfast {
namespace {

const Scenario& checked(const Scenario& service) {
  HOLDFAST_CHECK(service.service.has_value());
  if (service.disk_budget_gib == 0) return service;
  throw Error(
      "disk_budget_gib drops weights that no stage needs any more, and a service keeps its customers' models: leave it out");
}

}  // namespace

struct TuningRunner::State {
  State(const Scenario& service, Store& store, Workers& workers, TuningListener& listener)
      : pipelines(checked(service)), answering(store.root()), loop(store, workers, listener) {
    for (const auto& offer : pipelines.service().offers) {
      bases.emplace_back("the model \"" + offer.id + "\" on offer", pipelines.base(offer.id));
    }
    if (const auto& name = pipelines.service().moderator; !name.empty()) {
      bases.emplace_back("the moderator \"" + name + "\"", pipelines.moderator(name));
    }
    thread = std::thread([this] { run(); });
  }

  ~State() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    changed.notify_one();
    thread.join();
  }

  void ask(std::function<void()> what) {
    {
      const std::lock_guard lock(mutex);
      asked.push_back(std::move(what));
    }
    changed.notify_one();
  }

  // While nothing is under way it waits here. Nothing once it ends.
  std::optional<std::vector<std::function<void()>>> taken() {
    std::unique_lock lock(mutex);
    if (!loop.is_running()) changed.wait(lock, [this] { return ending || !asked.empty(); });
    if (ending) return std::nullopt;
    return std::exchange(asked, {});
  }

  void run() {
    for (const auto& [what, pipeline] : bases) loop.add_base(what, pipeline);
    loop.give_stages();
    while (const auto now = taken()) {
      for (const auto& each : *now) each();
      loop.give_stages();
      if (loop.is_running()) loop.hear();
      loop.give_stages();
    }
    loop.end();
  }

  std::optional<StageRequest> answer(const Pipeline& pipeline) {
    const std::lock_guard lock(answering_mutex);
    return asking_request(pipeline, answering);
  }

  Pipelines pipelines;
  std::mutex answering_mutex;
  Store answering;  // the same folder, for whoever asks what is served
  TuningLoop loop;  // of the thread
  std::vector<std::pair<std::string, std::shared_ptr<const Pipeline>>> bases;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::function<void()>> asked;  // of the loop, in their order
  bool ending = false;
  std::thread thread;
};

TuningRunner::TuningRunner(const Scenario& service, Store& store, Workers& workers, TuningListener& listener)
    : state_(std::make_unique<State>(service, store, workers, listener)) {}

TuningRunner::~TuningRunner() = default;

void TuningRunner::submit(const std::string& job, const TuningOrder& order) {
  state_->ask([this, job, pipeline = state_->pipelines.of(order)] { state_->loop.add(job, pipeline); });
}

void TuningRunner::stop(const std::string& job) {
  state_->ask([this, job] { state_->loop.stop(job); });
}

std::optional<StageRequest> TuningRunner::served(const std::string& offer, const std::optional<TuningOrder>& order) {
  if (order) HOLDFAST_CHECK(order->offer == offer);
  return state_->answer(*(order ? state_->pipelines.of(*order) : state_->pipelines.base(offer)));
}

std::optional<StageRequest> TuningRunner::moderator(const std::string& name) {
  return state_->answer(*state_->pipelines.moderator(name));
}

}  // namespace holdfast
