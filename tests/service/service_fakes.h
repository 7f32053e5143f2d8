// A backend that keeps what it is told, a desk whose jobs nobody tunes, and what calls are refused with.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "service/api_error.h"
#include "service/desk.h"

namespace holdfast {

class IdleBackend final : public Backend {
 public:
  void submit(const std::string& job, const TuningOrder& order) override {
    {
      const std::lock_guard lock(mutex_);
      runs.push_back(job);
      orders.push_back(order);
    }
    if (on_submit) on_submit();
  }
  void stop(const std::string& job) override {
    const std::lock_guard lock(mutex_);
    stopped.push_back(job);
  }
  std::optional<StageRequest> served(const std::string&, const std::optional<TuningOrder>&) override {
    return ready ? std::optional(StageRequest()) : std::nullopt;
  }
  std::optional<StageRequest> moderator(const std::string&) override { return StageRequest(); }
  ChatAnswer ask(const ChatQuestion&, const std::function<bool(const std::string&)>&) override { return {"said", false, 3, 2}; }
  std::vector<bool> flagged(const StageRequest&, const std::vector<std::string>& texts) override {
    return std::vector<bool>(texts.size());
  }
  std::vector<std::int64_t> tokens(const StageRequest&, const std::vector<Conversation>& rows, std::int64_t) override {
    return std::vector<std::int64_t>(rows.size(), 100);
  }

  bool ready = true;
  std::function<void()> on_submit = {};
  std::vector<std::string> runs, stopped;
  std::vector<TuningOrder> orders;

 private:
  std::mutex mutex_;
};

inline const std::string kOneRow = R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})"
                                   "\n";

/// A service of one offer, "base", in a folder.
struct IdleService {
  explicit IdleService(const fs::path& state, const ServiceLimits& limits = {}, bool names_rows = true) {
    ServiceSpec service;
    service.offers = {{"base", "organism", "none"}};
    service.limits = limits;
    service.names_rows = names_rows;
    service.prices = {"USD", 1000, 10, 20};
    scenario.name = "idle";
    scenario.seeds = {7};
    scenario.finetune.epochs = 3;
    scenario.service = std::move(service);
    desk = std::make_unique<Desk>(scenario, ServiceKeys(), state);
    desk->backend = &backend;
    desk->jobs.begin(backend);
  }

  const Customer& customer() const { return desk->customers.all().front(); }

  FileRecord file(const std::string& rows = kOneRow) {
    Upload upload(desk->folder.upload());
    upload.write(rows.data(), rows.size());
    return desk->files.add(customer(), upload, "rows.jsonl", "fine-tune", std::count(rows.begin(), rows.end(), '\n'));
  }

  IdleBackend backend;
  Scenario scenario;
  std::unique_ptr<Desk> desk;
};

/// What the call is refused with; status 200 where it is not.
template <typename Call>
ApiError refusal(const Call& call) {
  try {
    call();
  } catch (const ApiError& error) {
    return error;
  }
  return {.status = 200};
}

}  // namespace holdfast
