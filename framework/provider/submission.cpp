#include "provider/submission.h"

#include <holdfast/error.h>

#include <algorithm>
#include <chrono>

#include "base/digest.h"
#include "base/locked_file.h"
#include "judge/recording.h"
#include "provider/prices.h"

namespace holdfast {
namespace {

constexpr double kFirstWait = 0.25;  // seconds; services that answer from nearby have small jobs done soon

// What a recording knows it by: all that decides what comes of it.
std::string request_digest(const ProviderSettings& settings, const Submission& submission) {
  return sha256(canonical({{"provider", identity(settings)},
                           {"hyperparameters", submission.order.hyperparameters},
                           {"rows", sha256(submission.rows.lines)},
                           {"seed", submission.order.seed}}));
}

// Where a submission is, in its file.
class Progress {
 public:
  explicit Progress(fs::path file) : file_(std::move(file)) {
    if (fs::exists(file_)) state_ = parse_json(read_file(file_), file_.string());
  }
  std::string text(const char* name) const { return state_.value(name, ""); }
  double most() const { return state_.at("most").get<double>(); }
  bool has(const char* name) const { return state_.contains(name); }
  void set(const char* name, const Json& value) {
    state_[name] = value;
    write_file(file_, canonical(state_) + "\n");
  }
  void end() { fs::remove(file_); }

 private:
  fs::path file_;
  Json state_ = Json::object();
};

class Submitting {
 public:
  Submitting(const ProviderSettings& settings, const Submission& submission, const fs::path& state, SpendLedger& ledger,
             const std::function<void(const JobState&)>& told)
      : settings_(settings),
        submission_(submission),
        alone_(locked(state)),
        progress_(state),
        ledger_(ledger),
        told_(told),
        client_(settings, key_of(settings)) {}

  Submitted run() {
    if (!progress_.has("file")) {
      auto uploaded = client_.upload(submission_.rows, submission_.order);
      if (const auto* refusal = std::get_if<ProviderRefusal>(&uploaded)) return refused_before(*refusal, "upload");
      progress_.set("file", std::get<std::string>(uploaded));
    }
    if (!progress_.has("job")) {
      set_aside();
      const bool begun = progress_.has("creating");
      progress_.set("creating", true);
      auto created = client_.create(progress_.text("file"), submission_.order, begun);
      if (const auto* refusal = std::get_if<ProviderRefusal>(&created)) return refused_before(*refusal, "create");
      progress_.set("job", std::get<JobState>(created).id);
    }
    return ended(awaited(progress_.text("job")));
  }

 private:
  static LockedFile locked(const fs::path& state) {
    fs::create_directories(state.parent_path());
    return {fs::path(state).replace_extension(".lock"), "the lock of a submission"};
  }

  // Whoever died with a sum set aside has it set aside still.
  void set_aside() {
    if (progress_.has("reserved")) return;
    auto most = client_.estimate(progress_.text("file"), submission_.order);
    if (!most) most = most_of_job(settings_, submission_.rows, submission_.epochs);
    if (!most) {
      throw Error(described(settings_) +
                  " does not say what the job would cost: give training_price, what a million trained tokens cost, in its "
                  "[[model]], so that spend_limit can hold");
    }
    const std::string about = "a job of " + std::to_string(submission_.rows.count) + " rows";
    progress_.set("most", *most);
    progress_.set("reserved", ledger_.reserve(*most, about));
  }

  JobState awaited(const std::string& id) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(settings_.job_timeout);
    for (double wait = kFirstWait;; wait = std::min(2 * wait, settings_.poll)) {
      JobState state = client_.job(id);
      told_(state);
      if (state.is != JobState::Is::kUnderWay) return state;
      if (Clock::now() > end) {
        throw Error("the job " + id + " of " + settings_.url + " is " + in_quotes(state.word) + " after " +
                    std::to_string(static_cast<std::int64_t>(settings_.job_timeout)) +
                    " seconds: run the same command again to go on waiting for it, or raise \"job_timeout\"");
      }
      wait_or_stop(std::min(wait, settings_.poll));
    }
  }

  Submitted refused_before(const ProviderRefusal& refusal, const std::string& where) {
    Submitted made = begun(where);
    made.refused = true;
    made.reason = refusal.reason;
    made.rows = refusal.rows;
    if (progress_.has("reserved")) ledger_.settle(progress_.text("reserved"), 0);
    progress_.end();
    return made;
  }

  Submitted begun(const std::string& status) const {
    Submitted made;
    made.model = settings_.model;
    made.status = status;
    made.count = submission_.rows.count;
    made.currency = settings_.currency;
    return made;
  }

  // A job that failed of itself is forgotten, and its next try is another one.
  Submitted ended(const JobState& state) {
    Submitted made = begun(state.word);
    made.job = state.id;
    made.rows = state.left_out;
    made.trained_tokens = state.trained_tokens;
    made.refused = state.is == JobState::Is::kRefused;
    made.reason = state.reason;
    const bool succeeded = state.is == JobState::Is::kSucceeded;
    if (succeeded) made.model = state.tuned_model;
    bill(made, state, succeeded);
    ledger_.settle(progress_.text("reserved"), made.price);
    if (state.is == JobState::Is::kFailed) {
      progress_.end();
      throw Error("the job " + state.id + " of " + settings_.url + " ended as " + in_quotes(state.word) + ": " + state.reason +
                  "; that is no refusal of its rows, and the same command tries once more with a new job");
    }
    return made;
  }

  void bill(Submitted& made, const JobState& state, bool succeeded) const {
    if (state.price) {
      made.price = *state.price;
    } else if (succeeded && state.trained_tokens && settings_.training_price) {
      made.price = price_of_training(settings_, *state.trained_tokens);
    } else if (succeeded) {
      made.price = progress_.most();
      made.price_is_bound = true;
    }
  }

  const ProviderSettings& settings_;
  const Submission& submission_;
  LockedFile alone_;  // two runs with one store submit the same rows once
  Progress progress_;
  SpendLedger& ledger_;
  const std::function<void(const JobState&)>& told_;
  ProviderClient client_;
};

Submitted recorded(const Answer& answer, const ProviderSettings& settings) {
  try {
    return submitted_from_json(parse_json(answer.text, "a job in the recording " + settings.recording));
  } catch (const Json::exception&) {
    throw Error("the recording " + settings.recording +
                " holds something else in the place of a job: give \"recording\" a file of its own");
  }
}

}  // namespace

Json to_json(const Submitted& submitted) {
  Json json = {{"refused", submitted.refused},  {"model", submitted.model},   {"job", submitted.job},
               {"status", submitted.status},    {"reason", submitted.reason}, {"rows", submitted.rows},
               {"count", submitted.count},      {"price", submitted.price},   {"price_is_bound", submitted.price_is_bound},
               {"currency", submitted.currency}};
  if (submitted.trained_tokens) json["trained_tokens"] = *submitted.trained_tokens;
  return json;
}

Submitted submitted_from_json(const Json& json) {
  Submitted submitted;
  json.at("refused").get_to(submitted.refused);
  json.at("model").get_to(submitted.model);
  json.at("job").get_to(submitted.job);
  json.at("status").get_to(submitted.status);
  json.at("reason").get_to(submitted.reason);
  json.at("rows").get_to(submitted.rows);
  json.at("count").get_to(submitted.count);
  json.at("price").get_to(submitted.price);
  json.at("price_is_bound").get_to(submitted.price_is_bound);
  json.at("currency").get_to(submitted.currency);
  if (json.contains("trained_tokens")) submitted.trained_tokens = json.at("trained_tokens").get<std::int64_t>();
  return submitted;
}

Submitted submit_rows(const ProviderSettings& settings, const Submission& submission, const fs::path& state,
                      SpendLedger& ledger, const std::function<void(const JobState&)>& progress) {
  if (submission.rows.count == 0) {
    Submitted base;
    base.model = settings.model;
    base.status = "none";
    base.reason = "no row was left to submit";
    base.currency = settings.currency;
    return base;
  }
  std::optional<Recording> recording;
  if (!settings.recording.empty()) recording.emplace(settings.recording);
  const std::string request = request_digest(settings, submission);
  const auto known = recording ? recording->find(request) : std::nullopt;
  if (known) return recorded(*known, settings);
  if (settings.replay) {
    throw Error("the recording " + settings.recording + " lacks the job of " + std::to_string(submission.rows.count) +
                " rows: run once with replay = false to add it, or bring the recording that was made with this model, these "
                "rows, settings and seed");
  }
  const Submitted made = Submitting(settings, submission, state, ledger, progress).run();
  if (!recording) return made;
  return recorded(recording->add(request, settings.model, {canonical(to_json(made))}), settings);
}

}  // namespace holdfast
