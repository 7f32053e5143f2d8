#include "work/stages.h"

#include <utility>

#include "work/account.h"
#include "work/gang.h"
#include "work/keyed_inputs.h"
#include "work/temporary_files.h"
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
    case StageKind::kSubmit:
      return submit(work);
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

void work_of(Gang& gang) {
  const StageKind kind = gang.front().work->request().kind;
  if (gang.size() == 1) return guarded(gang.front(), [&] { work_of(kind, *gang.front().work); });
  if (kind == StageKind::kFinetune) return finetune(gang);
  if (kind == StageKind::kGenerate) return generate(gang);
  HOLDFAST_CHECK(kind == StageKind::kJudge);
  judge(gang);
}

// The folders of artifacts in the making; what is not stored goes with it.
class Folders {
 public:
  explicit Folders(Store& store) : store_(store) {}
  ~Folders() {
    for (const auto& made : open_) store_.abandon(made);
  }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;

  fs::path begin(const std::optional<StageLease>& lease) {
    open_.push_back(store_.begin(lease ? lease->folder : fs::path()));
    return open_.back();
  }
  Manifest commit(const fs::path& made, Manifest manifest) {
    Manifest stored = store_.commit(made, std::move(manifest));
    std::erase(open_, made);
    return stored;
  }

 private:
  Store& store_;
  std::vector<fs::path> open_;
};

}  // namespace

std::vector<StageResult> run_stages(const std::vector<StageRequest>& requests, StageTools& tools) {
  Account account;
  Folders folders(tools.store);
  const TemporaryFiles temporary(folders.begin(requests.front().lease));
  std::vector<StageResult> results(requests.size());
  std::vector<fs::path> made(requests.size());
  std::vector<std::size_t> places;  // of the gang's members among the requests
  Gang gang;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    GangMember member;
    guarded(member, [&] {
      check_inputs(requests[i]);
      made[i] = folders.begin(requests[i].lease);
      member.work = std::make_unique<StageWork>(requests[i], tools, account, made[i]);
    });
    if (member.error) {
      results[i].error = member.error;
    } else {
      places.push_back(i);
      gang.push_back(std::move(member));
    }
  }
  if (!gang.empty()) work_of(gang);
  std::vector<Manifest> manifests(gang.size());
  std::vector<std::int64_t> tokens;
  for (std::size_t m = 0; m < gang.size(); ++m) {
    const StageRequest& request = requests[places[m]];
    guarded(gang[m], [&] {
      Manifest& manifest = manifests[m] = gang[m].work->finished();
      check_inputs(request);
      manifest.kind = request.kind;
      manifest.key = request.key;
      manifest.document = request.document;
      manifest.versions = versions();
      if (const auto& lease = request.lease) manifest.lease = {{"worker", lease->worker}, {"token", lease->token}};
    });
    tokens.push_back(gang[m].error ? gang[m].tokens : manifests[m].cost.value("tokens", std::int64_t{0}));
  }
  Json cost = Json::object();
  account.close(cost);
  const auto parts = divided(cost, tokens);
  for (std::size_t m = 0; m < gang.size(); ++m) {
    StageResult& result = results[places[m]];
    guarded(gang[m], [&] {
      manifests[m].cost.update(parts[m]);
      result.stored = folders.commit(made[places[m]], std::move(manifests[m]));
      gang[m].work->keep_warm(*result.stored);
    });
    result.error = gang[m].error;
  }
  return results;
}

Manifest run_stage(const StageRequest& request, StageTools& tools) {
  StageResult result = std::move(run_stages({request}, tools).front());
  if (result.error) std::rethrow_exception(result.error);
  return std::move(*result.stored);
}

}  // namespace holdfast
