// A scenario's models behind a fine-tuning API, from its file to an address.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct ServiceOptions {
  fs::path scenario;
  fs::path store = "results/.store";
  fs::path state;  // empty: .service/<name of the scenario> beside the store
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any that is free
  std::vector<std::string> plugin_path;
  fs::path program;  // started as workers and to ask plugins; empty: engine_program()
};

class ApiService {
 public:
  /// Answers from now on, and takes up the jobs that had not ended. Writing to a dead worker must be no signal
  /// (run/interruption.h). Throws Error for a scenario that is wrong or has no [service], keys that are not there, a folder or
  /// an address that cannot be had.
  explicit ApiService(const ServiceOptions& options);
  /// Within seconds. What is under way is kept where it stands.
  ~ApiService();
  ApiService(const ApiService&) = delete;
  ApiService& operator=(const ApiService&) = delete;

  /// Of the scenario.
  const std::string& name() const;
  /// "http://host:port/v1".
  std::string url() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
