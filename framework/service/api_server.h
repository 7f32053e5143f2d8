// The API over HTTP: whose request it is, whether its body is taken, which route serves it, and what went wrong.
#pragma once

#include <memory>
#include <string>

#include "service/desk.h"

namespace holdfast {

struct ApiServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;       // 0: any that is free
  double idle = 5;    // seconds for which a connection without a request is kept
  double head = 20;   // seconds until the head of a request must be there
  double quiet = 30;  // seconds without a byte of a body after which it is given up
};

/// Throws Error where others than this machine would reach a service that knows no customers.
void check_open(const std::string& host, const Customers& customers);

class ApiServer {
 public:
  /// Answers from now on. The desk, with its backend, outlives it. Throws Error where the address cannot be had.
  ApiServer(Desk& desk, const ApiServerOptions& options);
  /// Ends what is under way.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  int port() const;
  /// "http://host:port/v1", as clients call it.
  std::string url() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
