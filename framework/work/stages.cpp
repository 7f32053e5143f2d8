#include "work/stages.h"

#include <chrono>
#include <cmath>

#include "model/passes.h"
#include "work/keyed_inputs.h"
#include "work/peak_memory.h"
#include "work/stage_work.h"
#include "work/versions.h"

namespace holdfast {
namespace {

void work_of(StageKind kind, StageWork& work) {
  switch (kind) {
    case StageKind::kPretrain:
      return pretrain(work);
    case StageKind::kAlign:
      return align(work);
    case StageKind::kCollect:
      return collect(work);
    case StageKind::kScreen:
      return screen(work);
    case StageKind::kFinetune:
      return finetune(work);
    case StageKind::kTamper:
      return tamper(work);
    case StageKind::kRepair:
      return repair(work);
    case StageKind::kGenerate:
      return generate(work);
    case StageKind::kJudge:
      return judge(work);
  }
}

}  // namespace

// What the stage cost since it began.
class Account {
 public:
  Account() { reset_peak_memory(); }

  void close(Json& cost) const {
    const Passes passes = passes_so_far();
    const PeakMemory peak = peak_memory();
    cost["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    cost["forward_tokens"] = std::llround(passes.forward_tokens - before_.forward_tokens);
    cost["backward_tokens"] = std::llround(passes.backward_tokens - before_.backward_tokens);
    cost["peak_memory"] = peak.main;
    if (peak.device > 0) cost["peak_device_memory"] = peak.device;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Passes before_ = passes_so_far();
};

Manifest run_stage(const StageRequest& request, StageTools& tools) {
  const Account account;
  check_inputs(request, tools.store);
  const fs::path made = tools.store.begin();
  try {
    StageWork work(request, tools, made);
    work_of(request.kind, work);
    Manifest manifest = work.finished();
    check_inputs(request, tools.store);
    manifest.kind = request.kind;
    manifest.key = request.key;
    manifest.document = request.document;
    manifest.versions = versions();
    account.close(manifest.cost);
    const Manifest stored = tools.store.commit(made, std::move(manifest));
    work.keep_warm(stored);
    return stored;
  } catch (...) {
    tools.store.abandon(made);
    throw;
  }
}

}  // namespace holdfast
