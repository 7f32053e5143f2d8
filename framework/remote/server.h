// A store, and the queue in it, served over HTTP to workers that do not see its folder, and its files by SHA-256 to anybody's
// client. docs/cluster.md has the routes.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"

namespace holdfast {

struct ServeOptions {
  fs::path store;
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any that is free
  std::string token =
      {};             // that each request must carry; empty: none, which only this machine's own address may be served with
  double idle = 5;    // seconds for which a connection without a request is kept
  double head = 20;   // seconds until the head of a request must be there
  double quiet = 30;  // seconds without a byte of a body after which it is given up
};

class StoreServer {
 public:
  /// Makes the store where there is none, and answers from now on. Throws Error where the address cannot be had, or would be
  /// open to others without a token.
  explicit StoreServer(const ServeOptions& options);
  /// Ends what is under way.
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  int port() const;
  /// "http://host:port".
  std::string url() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
