#include <holdfast/error.h>
#include <holdfast/log.h>

#include <chrono>
#include <ctime>
#include <iomanip>
#include <regex>
#include <sstream>
#include <thread>

#include "base/cache_folder.h"
#include "base/digest.h"
#include "cli/verbs.h"
#include "queue/directory_queue.h"
#include "remote/http_exchange.h"
#include "remote/http_queue.h"
#include "run/launcher.h"
#include "run/pull.h"

namespace holdfast::cli {
namespace {

struct WorkerOptions {
  std::string store;
  std::string cache;
  std::string device = "cpu";
  std::string until;
  PullOptions pull;
  double memory = 0;
};

// Seconds from now.
double seconds_until(const std::string& text) {
  std::istringstream in(text);
  if (text.starts_with('+')) {
    double seconds = 0;
    in.ignore();
    if (in >> seconds && in.eof() && seconds > 0) return seconds;
  } else {
    std::tm parts{};
    parts.tm_isdst = -1;
    in >> std::get_time(&parts, "%Y-%m-%dT%H:%M");
    const std::time_t then = in.fail() ? -1 : std::mktime(&parts);
    const double left = std::difftime(then, std::time(nullptr));
    if (!in.fail() && left <= 0) throw Error("--until " + text + " is over already");
    if (!in.fail() && in.peek() == std::istringstream::traits_type::eof()) return left;
  }
  throw Error("--until is \"" + text + "\", expected seconds from now (+3600) or a local time (2026-11-27T18:00)");
}

void refuse_unless_device(const std::string& device) {
  static const std::regex form("[a-z_]+(:[0-9]{1,4}(-[0-9]{1,4})?)?");
  if (std::regex_match(device, form) && (accelerators(device) > 0 || device == "cpu" || device == "auto")) return;
  throw Error("--device is \"" + device + "\", expected cpu, cuda, cuda:1, or cuda:0-3 for several");
}

// "cuda:1" is 1, "cuda" 0.
std::size_t first_number(const std::string& device) {
  const auto colon = device.find(':');
  return colon == std::string::npos ? 0 : std::stoul(device.substr(colon + 1));
}

// What it may be asked for: its accelerators, any number of them, and the CPU.
std::set<std::string> offered(const std::string& device) {
  std::set<std::string> names = {"cpu"};
  const std::int64_t count = accelerators(device);
  const std::string kind = device.substr(0, device.find(':'));
  if (count > 0) names.insert(kind);
  for (std::int64_t several = 1; several <= count; ++several) names.insert(kind + ":" + std::to_string(several));
  return names;
}

// The worker's own store, for a served one: by its address, so that workers of one machine share what they fetched.
fs::path cache_for(const StoreAddress& address, const std::string& given) {
  if (!given.empty()) return fs::absolute(given).lexically_normal();
  const fs::path folder = cache_folder();
  if (folder.empty()) throw Error("there is no folder to keep what " + address.text() + " serves: name one with --cache");
  return folder / "stores" / sha256(address.text()).substr(0, 16);
}

PullEnd pull_served(const StoreAddress& address, WorkerOptions& options) {
  const std::string token = take_store_token();
  if (!token.empty() && address.scheme == "http" && !is_loopback_host(address.host)) {
    log_warning("the token goes to " + address.text() + " in the clear: let nobody else listen between there and here");
  }
  options.pull.store = cache_for(address, options.cache);
  options.pull.patience = 0;  // its own folder, which no other machine writes
  StoreClient client(address, token);
  HttpQueue queue(client, options.pull.store);
  HttpExchange exchange(client, options.pull.store, options.pull.lost_after);
  options.pull.exchange = &exchange;
  try {
    return pull(queue, options.pull);
  } catch (const StoreAway& away) {
    throw Error(away.what());
  }
}

PullEnd pull_shared(WorkerOptions& options) {
  if (!options.cache.empty()) throw Error("--cache is for a --store that is an address, and " + options.store + " is a folder");
  // Where a run started it, a file server may show the store late.
  for (int turn = 0; turn < 10 * kPatience && options.pull.launched && !fs::exists(options.store); ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  if (!fs::exists(options.store)) {
    throw Error("there is no store at " + options.store + ": a run makes it, in .store of its folder of results");
  }
  options.pull.store = options.store;
  DirectoryQueue queue(options.pull.store / kQueue);
  return pull(queue, options.pull);
}

int work(WorkerOptions& options) {
  refuse_unless_device(options.device);
  options.pull.devices = offered(options.device);
  options.pull.device_number = first_number(options.device);
  if (options.memory > 0) options.pull.gib = options.memory;
  if (!options.until.empty()) options.pull.seconds = seconds_until(options.until);
  if (options.pull.seconds && *options.pull.seconds <= options.pull.grace) {
    throw Error("--until leaves " + std::to_string(static_cast<long>(*options.pull.seconds)) +
                " s, which is no more than the --grace of " + std::to_string(static_cast<long>(options.pull.grace)) +
                " s that a worker stops before");
  }
  const bool served = is_store_address(options.store);
  const PullEnd end = served ? pull_served(store_address(options.store), options) : pull_shared(options);
  log_info(end == PullEnd::kStopped ? "stopped: what was under way is free for others" : "nothing left to do");
  return end == PullEnd::kStopped ? kWorkLeft : 0;
}

}  // namespace

void add_worker(CLI::App& app) {
  auto options = std::make_shared<WorkerOptions>();
  auto* verb = app.add_subcommand("worker", "Take stages from a run's store until there are none (run --launcher)");
  verb->add_option("--store", options->store,
                   "Folder of artifacts of the run, seen by all its workers, or where serve-store serves it (http://host:port)")
      ->required();
  verb->add_option("--cache", options->cache, "Folder for what is fetched from an address (default: one of the cache folder)");
  verb->add_option("--device", options->device, "cpu (default), cuda, or cuda:0-3 for several: what it may be asked for");
  verb->add_option("--threads", options->pull.threads, "Threads (default: as the run says, or all it may use)")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--memory", options->memory, "GiB it may use: it takes nothing that is expected to need more")
      ->check(CLI::PositiveNumber);
  verb->add_option("--until", options->until, "When its time is over: +SECONDS, or a local time (2026-11-27T18:00)");
  verb->add_option("--grace", options->pull.grace,
                   "Seconds before that at which it keeps what it trains and gives it back (default: 60)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--idle", options->pull.idle, "Seconds without work after which it ends (default: 300)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--lost-after", options->pull.lost_after,
                   "Seconds without a word from it after which others take its work (default: 60)")
      ->check(CLI::Range(0.5, 86400.0));
  verb->add_flag("--launched", options->pull.launched)->group("");  // by a launcher
  verb->callback([options] {
    if (const int code = work(*options); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace holdfast::cli
