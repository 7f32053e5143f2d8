#include <holdfast/log.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "remote/address.h"
#include "run/interruption.h"
#include "service/api_service.h"

namespace holdfast::cli {
namespace {

void serve(const ServiceOptions& options) {
  const Interruption interruption;
  const ApiService service(options);
  std::cout << "serving " << service.name() << " at " << service.url() << std::endl;
  if (!is_loopback_host(options.host)) {
    log_warning(
        "what goes over the network here is not encrypted, customers' keys neither: let only machines that you trust reach " +
        service.url());
  }
  while (!Interruption::requested()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

}  // namespace

void add_serve(CLI::App& app) {
  auto options = std::make_shared<ServiceOptions>();
  auto* verb = app.add_subcommand("serve", "Serve a scenario's models behind a fine-tuning API, with its defenses around them");
  verb->add_option("scenario", options->scenario, "TOML file with a [service]")->required();
  verb->add_option("--host", options->host,
                   "Address to listen at (default: 127.0.0.1, this machine only; any other asks for customers with keys)");
  verb->add_option("--port", options->port, "Port (default: 0, any that is free; it is printed)")->check(CLI::Range(0, 65535));
  verb->add_option("--store", options->store, "Folder of artifacts (default: results/.store)");
  verb->add_option("--state", options->state,
                   "Folder of customers' files and jobs (default: .service/<scenario> beside the store)");
  verb->callback([&app, options] {
    options->plugin_path = given_plugin_path(app);
    serve(*options);
  });
}

}  // namespace holdfast::cli
