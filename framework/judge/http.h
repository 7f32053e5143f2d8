// One HTTP POST, through libcurl.
#pragma once

#include <memory>
#include <string>

namespace holdfast {

/// What came of a request. Nothing that the network does is an exception.
struct HttpReply {
  long status = 0;  // 0: no whole answer came, and `failure` says why
  std::string body = {};
  std::string failure = {};
  bool permanent = false;  // of a failure: sending it again cannot help (a bad address, a certificate that does not hold)
  double retry_after = 0;  // seconds that the server asks to wait
};

/// A connection that is kept between requests. For one thread at a time.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Sends JSON; a `bearer` that is not empty goes into the Authorization header. Redirections are not followed, so that it
  /// reaches no other host, and the environment's proxy is not asked for this machine. `timeout` is in seconds, for all of it.
  HttpReply post(const std::string& url, const std::string& bearer, const std::string& body, double timeout);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
