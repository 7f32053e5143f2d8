#include "run/watch.h"

#include <holdfast/error.h>

#include <cmath>

#include "queue/directory_queue.h"

namespace holdfast {
namespace {

std::string plural(std::size_t number, const std::string& noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

std::string line_of(const Sign& worker) {
  std::string devices;
  for (const auto& device : worker.about.value("devices", std::vector<std::string>())) {
    devices += (devices.empty() ? "" : " ") + device;
  }
  std::string text = "  " + worker.about.value("host", std::string("?")) + " " +
                     std::to_string(worker.about.value("process", 0)) + " (" + devices + "): ";
  if (worker.lost) return text + "silent for " + duration_text(worker.silent) + ", its work is free for others";
  return text + (worker.about.value("busy", false) ? "at work" : "idle");
}

}  // namespace

RunState run_state(const ProgressState& state, const fs::path& store) {
  return {to_string(state), store, state.done, state.total, state.failed, state.seconds_left, false};
}

void write_run_state(const fs::path& results, const RunState& state) {
  const Json json = {{"text", state.text},   {"store", state.store.string()}, {"done", state.done},
                     {"total", state.total}, {"failed", state.failed},        {"seconds_left", state.seconds_left},
                     {"over", state.over}};
  write_file_unsynced(results / kProgressFile, json.dump() + "\n");
}

RunState read_run_state(const fs::path& results) {
  const fs::path file = results / kProgressFile;
  if (!fs::exists(file)) {
    throw Error("there is no run at " + results.string() +
                ": expected the folder of a scenario's results, such as "
                "results/quickstart");
  }
  try {
    const Json json = parse_json(read_file(file), file.string());
    return {json.at("text").get<std::string>(),  json.at("store").get<std::string>(),  json.at("done").get<std::size_t>(),
            json.at("total").get<std::size_t>(), json.at("failed").get<std::size_t>(), json.at("seconds_left").get<double>(),
            json.at("over").get<bool>()};
  } catch (const Json::exception&) {
    throw Error(file.string() + " is not what a run writes: start the run again");
  }
}

std::string workers_text(const fs::path& store) {
  if (!fs::exists(store / kQueue)) return "";
  DirectoryQueue queue(store / kQueue);
  const auto workers = queue.signs(Party::kWorker);
  std::string text = plural(workers.size(), "worker");
  for (const auto& worker : workers) text += "\n" + line_of(worker);
  return text + "\n";
}

}  // namespace holdfast
