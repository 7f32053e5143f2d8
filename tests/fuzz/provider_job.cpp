// What a fine-tuning service says of a job: a letter for its interface, then the job.
#include <holdfast/error.h>

#include <cmath>

#include "base/untrusted.h"
#include "fuzz/fuzz.h"
#include "provider/job_state.h"
#include "provider/templates.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  if (input.empty()) return;
  const Json job = json_or_discarded(input.substr(1));
  if (job.is_discarded()) return;
  ProviderSettings settings;
  settings.dialect = dialects()[static_cast<unsigned char>(input[0]) % dialects().size()].name;
  rows_named(job);
  const JobState state = read_job(settings, job);
  expect(is_plain_id(state.id), "an id may become a part of a path");
  expect(!state.price || (*state.price >= 0 && std::isfinite(*state.price)), "a price is none that a limit grows by");
  expect(!state.trained_tokens || *state.trained_tokens >= 0, "tokens are counted from 0");
  expect(state.is != JobState::Is::kSucceeded || !state.tuned_model.empty(), "what succeeded has a name");
}

const Added added("provider_job", read);

}  // namespace
}  // namespace holdfast::fuzz
