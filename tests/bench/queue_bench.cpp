// What a queue costs: postings that are taken and ended, and workers that share stages.
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/scratch_folder.h"
#include "queue/directory_queue.h"
#include "run/posted_stages.h"
#include "run/posted_work.h"
#include "run/pull.h"

namespace holdfast {
namespace {

StageRequest numbered(std::int64_t number) {
  StageRequest stage = stage_named('0');
  const std::string text = std::to_string(number);
  stage.key.replace(stage.key.size() - text.size(), text.size(), text);
  stage.estimate = {0.1, 0.1, 0};
  return stage;
}

// items_per_second: stages taken and ended by one worker, of which so many wait.
void BM_LeasesOfWaitingStages(benchmark::State& state) {
  const ScratchFolder folder;
  DirectoryQueue queue(folder / "queue");
  for (std::int64_t i = 0; i < state.range(0); ++i) queue.post(posting_of({numbered(i)}, {}));
  std::int64_t leased = 0;
  for (auto step : state) {
    const auto ready = queue.ready();
    for (const auto place : in_order(ready, {})) {
      const auto lease = queue.take(ready[place], "000000000000-1-1", 60);
      if (lease && queue.finish(*lease, Json::object())) ++leased;
    }
  }
  state.SetItemsProcessed(leased);
}
BENCHMARK(BM_LeasesOfWaitingStages)->Arg(1000)->Arg(100000)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

// A worker as a process of its own, whose stages sleep for a tenth of a second.
pid_t start_worker(const fs::path& store, const fs::path& program) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  PullOptions options;
  options.store = store;
  options.program = program;
  options.idle = 0.5;
  DirectoryQueue queue(store / kQueue);
  pull(queue, options);
  ::_exit(0);
}

// Seconds until 80 such stages have ended: four workers take a quarter of what one takes.
void BM_WorkersOnStagesThatSleep(benchmark::State& state) {
  for (auto step : state) {
    const ScratchFolder folder;
    const fs::path program = folder / "program";
    write_file(program,
               "#!/bin/sh\nread setup <&3\nwhile read request <&3; do sleep 0.1\n"
               "echo '{\"status\":\"ok\",\"digest\":\"d\",\"cost\":{},\"bytes\":7,\"warm\":[]}' >&4; done\n");
    fs::permissions(program, fs::perms::owner_all);
    std::vector<pid_t> workers;
    const fs::path store = folder / "store";
    for (std::int64_t i = 0; i < state.range(0); ++i) workers.push_back(start_worker(store, program));
    const auto start = std::chrono::steady_clock::now();
    const fs::path ended = store / kQueue / "ended";
    DirectoryQueue queue(store / kQueue);
    for (std::int64_t i = 0; i < 80; ++i) queue.post(posting_of({numbered(i)}, {}));
    std::ptrdiff_t count = 0;
    while (count < 80) {
      ::usleep(2000);
      std::error_code none;
      count = std::distance(fs::directory_iterator(ended, none), fs::directory_iterator());
    }
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    for (const pid_t worker : workers) ::waitpid(worker, nullptr, 0);
  }
}
BENCHMARK(BM_WorkersOnStagesThatSleep)->Arg(1)->Arg(4)->Iterations(1)->Unit(benchmark::kMillisecond)->UseManualTime();

}  // namespace
}  // namespace holdfast
