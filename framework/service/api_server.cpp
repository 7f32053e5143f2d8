#include "service/api_server.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <optional>

#include "remote/address.h"
#include "remote/limited_server.h"
#include "service/ids.h"
#include "service/routes.h"

namespace holdfast {
namespace {

using httplib::ContentReader;
using httplib::Request;
using httplib::Response;

// Streams hold a thread each; those that only wait for one cost address space.
constexpr std::size_t kThreads = 512;
constexpr std::uint64_t kLargestBody = 4UL << 20;

ConnectionLimits connection_limits(const ApiServerOptions& options) {
  ConnectionLimits limits;
  limits.idle = options.idle;
  limits.head = options.head;
  limits.quiet = options.quiet;
  return limits;
}

void refuse_request(Response& response, const ApiError& error) {
  response.status = error.status;
  if (error.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (error.retry_after > 0) response.set_header("Retry-After", std::to_string(error.retry_after));
  response.set_content(canonical(to_json(error)) + "\n", kJsonType);
}

// Runs a route; what is wrong becomes an answer. What went wrong with the server is no customer's business but its log's.
template <typename Action>
void guarded(Response& response, const Action& action) {
  try {
    action();
  } catch (const ApiError& error) {
    refuse_request(response, error);
  } catch (const std::exception& error) {
    log_warning(std::string("a request failed: ") + error.what());
    refuse_request(response, {.status = 500, .message = "the server failed; its log says why", .type = "server_error"});
  }
}

// What cpp-httplib refused itself.
ApiError refused_by_http(int status) {
  if (status == 414) return {.status = 414, .message = "the address of the request is too long", .code = "address_too_long"};
  if (status == 400) {
    return {.status = 400,
            .message = "the request is no HTTP/1.1, its head is larger than this server takes, or it came too slowly",
            .code = "invalid_request"};
  }
  return {
      .status = status, .message = "the request cannot be served (" + std::to_string(status) + ")", .code = "invalid_request"};
}

void check_body(const Request& request, std::uint64_t most) {
  const auto length = body_bytes(request);
  if (request.has_header("Content-Encoding")) {
    throw ApiError{.status = 415, .message = "the body is encoded: send it as it is", .code = "unsupported_encoding"};
  }
  if (!length) {
    throw ApiError{.status = 411,
                   .message = "the request has no plain Content-Length: send the body whole, and not in chunks",
                   .code = "length_required"};
  }
  if (most > 0 && *length > most) {
    throw ApiError{
        .status = 413,
        .message = "the body has " + std::to_string(*length) + " bytes, at most " + std::to_string(most) + " are taken here",
        .code = "body_too_large"};
  }
}

}  // namespace

void check_open(const std::string& host, const Customers& customers) {
  if (customers.are_named() || is_loopback_host(host)) return;
  throw Error(
      "--host " + host +
      " is reached from other machines, and the scenario names no [[service.customer]]: give each a key, or serve 127.0.0.1");
}

struct ApiServer::State {
  State(Desk& given, const ApiServerOptions& options) : desk(given), http(connection_limits(options)) {}

  struct Admitted {
    const Customer& customer;
    const Route& route;
  };

  void add_routes();
  Admitted admit(const Request& request) const;
  void serve(const Request& request, Response& response, const ContentReader* body);
  void check(const Request& request) const;

  Desk& desk;
  Routes routes;
  LimitedServer http;
  std::string url;
  int port = 0;
};

// Whose request it is, and who serves it. Who has no key learns of no place.
ApiServer::State::Admitted ApiServer::State::admit(const Request& request) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  if (const Route* open = routes.find_open(method, request.path)) {
    const std::string name = Routes::names(*open, request.path).front();
    const std::string owner = open->owner(name);
    for (const auto& customer : desk.customers.all()) {
      if (customer.name == owner) return {customer, *open};
    }
    throw no_such("address", name);
  }
  const Customer& customer = desk.customers.of(request.get_header_value("Authorization"));
  return {customer, routes.find(method, request.path)};
}

// Before a body is read, and before a client is told to send one.
void ApiServer::State::check(const Request& request) const {
  const auto [customer, route] = admit(request);
  check_body(request, route.most ? route.most(customer) : kLargestBody);
}

void ApiServer::State::serve(const Request& request, Response& response, const ContentReader* body) {
  guarded(response, [&] {
    const auto [customer, route] = admit(request);
    Call call{customer, Routes::names(route, request.path), request, response, body};
    route.serve(call);
  });
}

void ApiServer::State::add_routes() {
  for (const auto add : {add_file_routes, add_job_routes, add_model_routes, add_chat_routes, add_moderation_routes,
                         add_incoming_routes, add_together_routes}) {
    add(routes, desk);
  }
  http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  http.on_head([](Request& request) {
    request.headers.erase(kFormType);
    const auto type = request.headers.find("Content-Type");
    if (type == request.headers.end() || !type->second.starts_with("multipart/")) return;
    const std::string form = type->second;
    request.headers.erase("Content-Type");
    request.headers.emplace(kFormType, form);
  });
  http.set_pre_routing_handler([this](const Request& request, Response& response) {
    response.set_header("x-request-id", new_id("req_"));
    guarded(response, [&] { check(request); });
    return response.status == -1 ? httplib::Server::HandlerResponse::Unhandled : httplib::Server::HandlerResponse::Handled;
  });
  http.set_expect_100_continue_handler([this](const Request& request, Response& response) {
    guarded(response, [&] { check(request); });
    return response.status == -1 ? 100 : response.status;
  });
  http.set_error_handler([](const Request&, Response& response) {
    if (response.body.empty()) refuse_request(response, refused_by_http(response.status));
  });
  http.Get(".*", [this](const Request& request, Response& response) { serve(request, response, nullptr); });
  const auto with_body = [this](const Request& request, Response& response, const ContentReader& body) {
    serve(request, response, &body);
  };
  http.Post(".*", with_body);
  http.Put(".*", with_body);
  http.Patch(".*", with_body);
  http.Delete(".*", with_body);
}

ApiServer::ApiServer(Desk& desk, const ApiServerOptions& options) : state_(std::make_unique<State>(desk, options)) {
  check_open(options.host, desk.customers);
  state_->add_routes();
  state_->port = state_->http.begin(options.host, options.port);
  state_->url = StoreAddress{"http", options.host, state_->port}.text() + "/v1";
}

ApiServer::~ApiServer() = default;

int ApiServer::port() const { return state_->port; }

std::string ApiServer::url() const { return state_->url; }

}  // namespace holdfast
