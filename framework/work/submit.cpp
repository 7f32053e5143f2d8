#include <chrono>

#include "base/digest.h"
#include "base/work_progress.h"
#include "work/provider_stage.h"

namespace holdfast {
namespace {

void report(StageWork& work, const Submitted& submitted) {
  Json& reports = work.manifest().reports;
  const auto n = submitted.count;
  reports[kRefusedByProvider] = {{"value", submitted.refused ? 1 : 0}, {"n", n}};
  if (!submitted.rows.empty()) reports["rows-named-by-provider"] = {{"value", submitted.rows.size()}, {"n", n}};
  work.manifest().cost[kBilled] = submitted.price;
  if (submitted.trained_tokens) work.manifest().cost["tokens"] = *submitted.trained_tokens;
}

}  // namespace

void submit(StageWork& work) {
  const Json& task = work.task();
  const ProviderSettings settings = provider_settings_from_json(task.at("provider"));
  Submission submission;
  submission.rows = training_rows(work.input_data());
  submission.epochs = task.at("epochs").get<std::int64_t>();
  submission.order = {work.request().key, task.at("hyperparameters"), task.at("seed").get<std::int64_t>(),
                      submission.rows.count};
  SpendLedger ledger = spend_ledger(work, settings);
  const auto begun = std::chrono::steady_clock::now();
  const auto told = [&](const JobState&) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begun;
    const auto most = static_cast<std::int64_t>(settings.job_timeout);
    tell_progress({"second", static_cast<std::int64_t>(waited.count()), most, 0, std::nullopt});
  };
  const fs::path state = work.beside_artifacts("submissions/" + work.request().key + ".json");
  const Submitted submitted = submit_rows(settings, submission, state, ledger, told);
  write_file(work.made(kJobFile), canonical(to_json(submitted)) + "\n");
  work.manifest().digest = sha256_file(work.made(kJobFile));
  report(work, submitted);
}

}  // namespace holdfast
