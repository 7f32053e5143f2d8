// Requests over HTTP, through libcurl.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace holdfast {

/// A field of a form; with a file's name it is sent as a file.
struct FormPart {
  std::string name, content;
  std::string file_name = {};
};

struct HttpRequest {
  std::string method = "POST";  // "GET", "POST", "DELETE"
  std::string url;
  std::string body = {};            // JSON, of a POST
  std::vector<FormPart> form = {};  // of a POST: multipart/form-data in the body's place
  std::string bearer = {};          // not empty: goes into the Authorization header
  double timeout = 120;             // seconds, for all of it
  bool once = false;  // over a connection of its own: libcurl sends again by itself where a kept one turns out to be closed
};

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

  /// Redirections are not followed, so that a bearer reaches no other host, and the environment's proxy is not asked for this
  /// machine.
  HttpReply send(const HttpRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
