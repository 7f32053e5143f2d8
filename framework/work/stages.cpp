#include "work/stages.h"

#include "work/account.h"
#include "work/keyed_inputs.h"
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

Manifest run_stage(const StageRequest& request, StageTools& tools) {
  Account account;
  check_inputs(request, tools.store);
  const fs::path made = tools.store.begin();
  try {
    StageWork work(request, tools, account, made);
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
