#include <holdfast/error.h>
#include <holdfast/log.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "cli/verbs.h"
#include "remote/address.h"
#include "remote/server.h"
#include "run/interruption.h"

namespace holdfast::cli {
namespace {

void serve(ServeOptions& options) {
  if (is_store_address(options.store.string())) {
    throw Error("--store is the address " + options.store.string() + ", expected the folder that shall be served");
  }
  options.token = take_store_token();
  const Interruption interruption;
  const StoreServer server(options);
  std::cout << "serving " << fs::absolute(options.store).lexically_normal().string() << " at " << server.url() << std::endl;
  if (!is_loopback_host(options.host)) {
    log_warning("what goes over the network here is not encrypted, the token neither: let only machines that you trust reach " +
                server.url());
  }
  while (!Interruption::requested()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

}  // namespace

void add_serve_store(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  auto* verb = app.add_subcommand("serve-store", "Serve a run's store over HTTP to workers that do not see its folder");
  verb->add_option("--store", options->store, "Folder of artifacts of the run; it is made where there is none")->required();
  verb->add_option("--host", options->host,
                   "Address to listen at (default: 127.0.0.1, this machine only; any other asks for HOLDFAST_STORE_TOKEN)");
  verb->add_option("--port", options->port, "Port (default: 0, any that is free; it is printed)")->check(CLI::Range(0, 65535));
  verb->callback([options] { serve(*options); });
}

}  // namespace holdfast::cli
