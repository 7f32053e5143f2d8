#include "work/worker.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <holdfast/error.h>
#include <holdfast/log.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "base/isolation.h"
#include "base/stop_point.h"
#include "base/work_progress.h"
#include "base/worker_process.h"
#include "learn/device.h"
#include "plugin/plugin_server.h"
#include "work/chat.h"
#include "work/failure.h"
#include "work/request_lines.h"
#include "work/stages.h"

namespace holdfast {
namespace {

// The run ends its workers by closing the pipe or, when it is killed, through the kernel.
void follow_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::signal(SIGPIPE, SIG_IGN);
  // Batch systems signal all processes of a job that has to end.
  for (const int signal : {SIGUSR1, SIGTERM}) listen_to_stop_signal(signal);
}

void write_line(std::FILE* out, const Json& answer) {
  const std::string line = canonical(answer) + "\n";
  std::fwrite(line.data(), 1, line.size(), out);
  std::fflush(out);
}

Json answer(const StageResult& result) {
  if (result.error) return failure(result.error);
  const Manifest& stored = *result.stored;
  return {{"status", "ok"}, {"digest", stored.digest}, {"cost", stored.cost}, {"bytes", stored.bytes()}};
}

// Of each stage, in their order.
std::vector<Json> answers(const std::vector<StageRequest>& requests, StageTools& tools) {
  std::vector<Json> made;
  try {
    for (const auto& result : run_stages(requests, tools)) made.push_back(answer(result));
  } catch (...) {
    made.assign(requests.size(), failure(std::current_exception()));
  }
  return made;
}

// Passes progress on, about once a second. The rate is that of one piece of work: a stage may train or ask several times.
class ProgressLines {
 public:
  explicit ProgressLines(std::FILE* out) : out_(out) {}

  void operator()(const WorkProgress& progress) {
    const auto now = Clock::now();
    if (progress.unit != last_.unit || progress.total != last_.total || progress.done < last_.done) {
      begun_ = now;
      tokens_ = progress.tokens;
    }
    last_ = progress;
    if (now - said_ < std::chrono::seconds(1)) return;
    said_ = now;
    Json line = {{"unit", progress.unit}, {"done", progress.done}, {"total", progress.total}};
    if (progress.loss) line["loss"] = *progress.loss;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    if (progress.tokens > tokens_ && seconds > 0) line["rate"] = static_cast<double>(progress.tokens - tokens_) / seconds;
    write_line(out_, {{"progress", line}});
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* out_;
  WorkProgress last_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point said_ = Clock::now();
  std::int64_t tokens_ = 0;
};

// Stages one after another, or together.
void run(const Json& given, StageTools& tools, std::FILE* out) {
  std::vector<StageRequest> requests;
  for (const auto& request : given) requests.push_back(stage_request_from_json(request));
  const std::vector<Json> made = answers(requests, tools);
  for (std::size_t i = 0; i < made.size(); ++i) {
    Json line = made[i];
    line["stage"] = i;
    line["warm"] = tools.weights.digests();
    write_line(out, line);
  }
}

}  // namespace

int serve_worker() {
  RequestLines in(kWorkerRequests);
  std::FILE* out = ::fdopen(kWorkerAnswers, "w");
  if (::fcntl(kWorkerRequests, F_GETFD) < 0 || out == nullptr) {
    throw Error("this is started by `holdfast run` and `holdfast worker`, not by hand");
  }
  const auto setup = in.next();
  if (!setup) return 0;
  follow_parent(setup->at("parent").get<pid_t>());
  limit_process({setup->at("memory_gib").get<double>(), setup->at("file_gib").get<double>(), setup->at("network").get<bool>()});
  set_worker_number(setup->at("number").get<std::int64_t>());
  // Before any backward pass: autograd has threads for the devices that it finds at its first.
  for (const auto& device : setup->at("devices")) resolve_devices(device.get<std::string>());
  at::set_num_threads(setup->at("threads").get<int>());
  at::globalContext().setDeterministicAlgorithms(true, true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // would write every new tensor twice
  if (const auto folder = setup->at("store").get<std::string>(); folder.empty()) {
    while (const auto question = in.next()) write_line(out, answer_about_plugin(*question));
  } else {
    Store store(folder, setup->at("patience").get<double>());
    WeightCache weights(store, setup->at("workers").get<std::int64_t>() > 1 ? kWorthAFile : 0);
    StageTools tools{store, weights};
    ChatDesk desk(tools, in, [out](const Json& line) { write_line(out, line); });
    listen_to_progress(ProgressLines(out));
    while (const auto given = in.next()) {
      given->is_array() ? run(*given, tools, out) : desk.answer(*given);
    }
  }
  std::fflush(nullptr);
  ::_exit(0);  // plugins stay loaded: their static destructors have nothing to give back
}

}  // namespace holdfast
