// The table of routes: which there are, how large a body each takes, and who serves it.
#pragma once

#include <httplib.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "service/desk.h"
#include "service/paging.h"

namespace holdfast {

/// Where the Content-Type of a form stands, so that cpp-httplib leaves its parts to service/multipart.h.
inline constexpr const char* kFormType = "Holdfast-Form-Type";

inline constexpr const char* kJsonType = "application/json";

/// Where announced files are sent to (service/announced_uploads.h).
inline constexpr const char* kIncoming = "/v1/files/incoming/";

/// One request, once it is known whose it is.
struct Call {
  const Customer& customer;
  std::vector<std::string> names;  // what stands in the path at the pattern's {}
  const httplib::Request& request;
  httplib::Response& response;
  const httplib::ContentReader* body = nullptr;  // where the method has one

  /// The whole body as an object. Throws ApiError.
  Json json() const;
  QueryParameters query() const { return {request.params.begin(), request.params.end()}; }
  /// The body, piece by piece. Throws ApiError where it is not whole, and what `take` throws.
  void read_body(const std::function<void(std::string_view)>& take) const;
  /// Refuses every parameter. Throws ApiError.
  void no_query() const;
  /// Refuses a body that says something. Throws ApiError.
  void no_body() const;
};

struct Route {
  std::string method;
  std::string pattern;  // "/v1/files/{}/content"
  std::function<void(Call&)> serve;
  /// The bytes that a body may have; 0: any number. Empty: 4 MiB.
  std::function<std::uint64_t(const Customer&)> most = {};
  /// Of a place that is known to whom it belongs to alone, and asks for no key: whose it is, by what stands at the {}; nothing
  /// where there is no such place.
  std::function<std::string(const std::string&)> owner = {};
};

class Routes {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }

  /// Throws ApiError for a place that there is none of (404), and for another method than are served there (405).
  const Route& find(const std::string& method, const std::string& path) const;
  /// One that asks for no key; null where there is none.
  const Route* find_open(const std::string& method, const std::string& path) const;
  /// What the path has at the pattern's {}.
  static std::vector<std::string> names(const Route& route, const std::string& path);

 private:
  std::vector<Route> routes_;
};

/// Each in a file of its name.
void add_file_routes(Routes& routes, Desk& desk);
void add_job_routes(Routes& routes, Desk& desk);
void add_model_routes(Routes& routes, Desk& desk);
void add_chat_routes(Routes& routes, Desk& desk);
void add_moderation_routes(Routes& routes, Desk& desk);
void add_incoming_routes(Routes& routes, Desk& desk);
void add_together_routes(Routes& routes, Desk& desk);

void answer(const Call& call, const Json& object);
/// With the file's content, in pieces. Throws ApiError where it is gone.
void answer_file(const Call& call, const fs::path& path);

/// Server-sent events, one after the other, on the request's own thread: `write` gets one as an object, or with null what is no
/// event and tells whether the client is there. It says false where the client went away. An error that leaves `serve` is the
/// last event.
using WriteEvent = std::function<bool(const Json&)>;
void answer_events(const Call& call, std::function<void(const WriteEvent&)> serve);

}  // namespace holdfast
