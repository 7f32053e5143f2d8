#include "service/routes.h"

#include <holdfast/log.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/untrusted.h"
#include "remote/limited_server.h"
#include "remote/requests.h"
#include "service/request_fields.h"

namespace holdfast {
namespace {

std::vector<std::string> segments(const std::string& path) {
  std::vector<std::string> found;
  std::size_t begin = 1;
  while (begin <= path.size()) {
    const auto end = std::min(path.find('/', begin), path.size());
    found.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return found;
}

bool fits(const std::string& pattern, const std::vector<std::string>& path) {
  const auto wanted = segments(pattern);
  if (wanted.size() != path.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool any = wanted[i] == "{}" && !path[i].empty();
    if (!any && wanted[i] != path[i]) return false;
  }
  return true;
}

Json error_event(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    return to_json(ApiError{.status = 500, .message = known->what(), .type = "server_error"});
  }
  log_warning(std::string("a stream failed: ") + error.what());
  return to_json(ApiError{.status = 500, .message = "the server failed", .type = "server_error"});
}

}  // namespace

// What `take` throws does not go through cpp-httplib, which waits for the body of a request that has none.
void Call::read_body(const std::function<void(std::string_view)>& take) const {
  if (!request.has_header("Content-Length")) return;
  std::exception_ptr fault;
  const bool whole = body != nullptr && (*body)([&](const char* data, std::size_t size) {
                       try {
                         take(std::string_view(data, size));
                         return true;
                       } catch (...) {
                         fault = std::current_exception();
                         return false;
                       }
                     });
  if (fault) std::rethrow_exception(fault);
  if (!whole)
    throw ApiError{
        .status = 408, .message = "the body ended, or stopped coming, before it was whole", .code = "incomplete_body"};
}

Json Call::json() const {
  std::string text;
  read_body([&](std::string_view piece) { text += piece; });
  return parse_body(text);
}

void Call::no_query() const {
  if (!request.params.empty()) refuse_parameter(request.params.begin()->first);
}

void Call::no_body() const {
  std::string text;
  read_body([&](std::string_view piece) { text += piece; });
  if (text.empty()) return;
  const Json given = parse_body(text);
  RequestFields(given).finish();
}

const Route& Routes::find(const std::string& method, const std::string& path) const {
  const auto parts = segments(path);
  std::string others;
  for (const auto& route : routes_) {
    if (!fits(route.pattern, parts)) continue;
    if (route.method == method) return route;
    others += (others.empty() ? "" : " or ") + route.method;
  }
  if (others.empty()) {
    throw ApiError{.status = 404, .message = "there is nothing at " + in_quotes(method + " " + path), .code = "unknown_url"};
  }
  throw ApiError{.status = 405,
                 .message = "the method is " + in_quotes(method) + ", expected " + others + " at " + in_quotes(path),
                 .code = "method_not_allowed"};
}

const Route* Routes::find_open(const std::string& method, const std::string& path) const {
  const auto parts = segments(path);
  const auto found = std::find_if(routes_.begin(), routes_.end(), [&](const Route& route) {
    return route.owner && route.method == method && fits(route.pattern, parts);
  });
  return found == routes_.end() ? nullptr : &*found;
}

std::vector<std::string> Routes::names(const Route& route, const std::string& path) {
  const auto wanted = segments(route.pattern), given = segments(path);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "{}") names.push_back(given[i]);
  }
  return names;
}

void answer(const Call& call, const Json& object) {
  call.response.status = 200;
  call.response.set_content(canonical(object) + "\n", kJsonType);
}

void answer_file(const Call& call, const fs::path& path) {
  call.response.status = 200;
  try {
    send_file(call.response, path);
  } catch (const Refusal&) {
    throw ApiError{.status = 404, .message = "the file's content is gone", .code = "not_found"};
  }
}

void answer_events(const Call& call, std::function<void(const WriteEvent&)> serve) {
  call.response.status = 200;
  call.response.set_header("Cache-Control", "no-cache");
  call.response.set_chunked_content_provider("text/event-stream",
                                             [serve = std::move(serve)](std::size_t, httplib::DataSink& sink) {
                                               bool there = true;
                                               const auto send = [&](const std::string& text) {
                                                 there = there && !client_is_gone() && sink.write(text.data(), text.size());
                                                 return there;
                                               };
                                               const WriteEvent write = [&](const Json& event) {
                                                 return send(event.is_null() ? ": \n\n" : "data: " + canonical(event) + "\n\n");
                                               };
                                               try {
                                                 serve(write);
                                               } catch (const ApiError& error) {
                                                 write(to_json(error));
                                               } catch (const std::exception& error) {
                                                 write(error_event(error));
                                               }
                                               if (send("data: [DONE]\n\n")) sink.done();
                                               return there;
                                             });
}

}  // namespace holdfast
