#include "service/api_service.h"

#include <holdfast/error.h>

#include <algorithm>
#include <thread>

#include "base/engine_program.h"
#include "plugin/library.h"
#include "plugin/plugin_host.h"
#include "remote/address.h"
#include "run/prepare.h"
#include "service/api_server.h"
#include "service/tuned_backend.h"

namespace holdfast {
namespace {

fs::path program_of(const ServiceOptions& options) { return options.program.empty() ? engine_program() : options.program; }

// All that plugins are asked before a service, they are asked here.
Scenario read_scenario(const ServiceOptions& options) {
  PluginHost plugins(program_of(options), plugin_folders(options.plugin_path));
  Scenario scenario = load_scenario(options.scenario, plugins);
  if (!scenario.service) {
    throw Error(options.scenario.string() + " has no [service], expected one that says what is on offer (docs/service.md)");
  }
  refuse_missing(scenario);
  if (scenario.threads == 0) {
    const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
    scenario.threads = std::max<std::int64_t>(1, cores / (scenario.workers + scenario.service->chat_workers));
  }
  return scenario;
}

fs::path folder_of(const char* option, const fs::path& path) {
  if (is_store_address(path.string())) {
    throw Error(std::string(option) + " is the address " + path.string() + ", expected a folder of this machine");
  }
  return fs::absolute(path).lexically_normal();
}

fs::path state_of(const ServiceOptions& options, const Scenario& scenario) {
  if (!options.state.empty()) return folder_of("--state", options.state);
  return folder_of("--store", options.store).parent_path() / ".service" / scenario.name;
}

}  // namespace

// Ends in the order from the last: nobody asks any more, then nothing runs, then nothing is written.
struct ApiService::State {
  explicit State(const ServiceOptions& options)
      : keys(take_service_keys(options.scenario)),
        scenario(read_scenario(options)),
        desk(scenario, keys, state_of(options, scenario)) {
    check_open(options.host, desk.customers);
    backend = std::make_unique<TunedBackend>(scenario, BackendOptions{program_of(options), folder_of("--store", options.store)},
                                             desk.jobs);
    desk.backend = backend.get();
    desk.jobs.begin(*backend);
    server = std::make_unique<ApiServer>(desk, ApiServerOptions{.host = options.host, .port = options.port});
    keys.clear();
  }

  ServiceKeys keys;
  const Scenario scenario;
  Desk desk;
  std::unique_ptr<TunedBackend> backend;
  std::unique_ptr<ApiServer> server;
};

ApiService::ApiService(const ServiceOptions& options) : state_(std::make_unique<State>(options)) {}

ApiService::~ApiService() = default;

const std::string& ApiService::name() const { return state_->scenario.name; }

std::string ApiService::url() const { return state_->server->url(); }

}  // namespace holdfast
