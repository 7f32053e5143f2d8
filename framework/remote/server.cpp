#include "remote/server.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <optional>
#include <utility>

#include "base/digest.h"
#include "base/untrusted.h"
#include "remote/address.h"
#include "remote/blobs.h"
#include "remote/leases.h"
#include "remote/limited_server.h"
#include "remote/posted_files.h"
#include "remote/publishing.h"
#include "remote/queue_service.h"
#include "remote/requests.h"
#include "remote/wire.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kLargestManifest = 16UL << 20;

using httplib::ContentReader;
using httplib::Request;
using httplib::Response;

ConnectionLimits connection_limits(const ServeOptions& options) {
  ConnectionLimits limits;
  limits.idle = options.idle;
  limits.head = options.head;
  limits.quiet = options.quiet;
  return limits;
}

void check_open(const ServeOptions& options) {
  if (!options.token.empty() || is_loopback_host(options.host)) return;
  throw Error("--host " + options.host + " is reached from other machines, and " + kStoreToken +
              " is not set: set it to a secret that the workers know too, or serve 127.0.0.1 and let ssh bring them there");
}

}  // namespace

struct StoreServer::State {
  explicit State(const ServeOptions& options)
      : store(fs::absolute(options.store).lexically_normal()),
        token_digest(options.token.empty() ? "" : sha256(options.token)),
        blobs(store),
        publishing(store, blobs),
        queue(store),
        http(connection_limits(options)) {}

  void add_routes();
  std::optional<Lease> lease_of(const Request& request) const;
  void read_body(const Request& request, const ContentReader& reader, Upload& upload);
  void get_content(const Request& request, Response& response);
  void put_content(const Request& request, Response& response, const ContentReader& reader);
  void get_entry(const Request& request, Response& response);
  void put_entry(const Request& request, Response& response, const ContentReader& reader);
  void answer(const Request& request, Response& response, const ContentReader& reader);

  const fs::path store;
  const std::string token_digest;  // of digests no comparison tells anything about the secret
  Blobs blobs;
  Publishing publishing;
  QueueService queue;
  PostedFiles files;
  LimitedServer http;
  std::string url;
  int port = 0;
};

namespace {

// Runs a route; what is wrong becomes an answer.
template <typename Route>
void guarded(Response& response, const Route& route) {
  try {
    route();
  } catch (const Refusal& refusal) {
    refuse(response, refusal);
  } catch (const Json::exception& error) {
    refuse(response, {400, std::string("the question is not as it should be: ") + error.what()});
  } catch (const std::exception& error) {
    log_warning(std::string("a request failed: ") + error.what());
    refuse(response, {500, error.what()});
  }
}

}  // namespace

std::optional<Lease> StoreServer::State::lease_of(const Request& request) const {
  if (!request.has_header(kLeaseHeader)) return std::nullopt;
  return lease_named(store, request.get_header_value(kLeaseHeader));
}

// The file's own trouble is told apart from the client's.
void StoreServer::State::read_body(const Request& request, const ContentReader& reader, Upload& upload) {
  std::optional<std::string> fault;
  const bool whole = reader([&](const char* data, std::size_t size) {
    try {
      upload.write(data, size);
      return true;
    } catch (const Error& error) {
      fault = error.what();
      return false;
    }
  });
  if (fault) throw Refusal{507, *fault};
  const std::uint64_t expected = body_bytes(request).value_or(0);
  if (whole && upload.bytes() == expected) return;
  throw Refusal{408, "the body ended, or stopped coming, after " + std::to_string(upload.bytes()) + " of " +
                         std::to_string(expected) + " bytes"};
}

void StoreServer::State::get_content(const Request& request, Response& response) {
  const std::string digest = request.matches[1];
  const auto lease = lease_of(request);
  auto found = lease ? files.find(digest, *lease) : std::nullopt;
  if (!found) found = blobs.find(digest);
  if (!found) throw Refusal{404, "there is no content with the SHA-256 " + digest};
  send_file(response, *found);
}

void StoreServer::State::put_content(const Request& request, Response& response, const ContentReader& reader) {
  const std::string digest = request.matches[1];
  const auto lease = lease_of(request);
  if (lease && !is_held(*lease)) refuse_lost(*lease);
  try {
    const auto upload = lease ? blobs.begin(*lease) : blobs.begin();
    read_body(request, reader, *upload);
    const std::string found = upload->sha256();
    if (found != digest) throw Refusal{400, "the body has the SHA-256 " + found + ", expected " + digest};
    if (lease) {
      blobs.keep(*upload, digest, *lease);
    } else {
      blobs.keep(*upload, digest);
    }
  } catch (const std::exception&) {
    if (lease && !is_held(*lease)) refuse_lost(*lease);
    throw;
  }
  response.status = 200;
}

// A stage's artifact comes before whatever a client put under the same key.
void StoreServer::State::get_entry(const Request& request, Response& response) {
  const std::string key = request.matches[1];
  if (const auto artifact = publishing.find(key)) {
    response.set_header(kStageHeader, to_string(artifact->kind));
    return response.set_content(to_json(*artifact).dump(1) + "\n", kJson);
  }
  const auto entry = blobs.entry(key);
  if (!entry) throw Refusal{404, "there is no stage and no entry with the key " + key};
  send_file(response, *entry);
}

void StoreServer::State::put_entry(const Request& request, Response& response, const ContentReader& reader) {
  const std::string key = request.matches[1];
  const auto lease = lease_of(request);
  const auto upload = blobs.begin();
  read_body(request, reader, *upload);
  upload->sha256();
  auto manifest = upload->bytes() <= kLargestManifest ? manifest_in(read_file(upload->path())) : std::nullopt;
  if (lease) {
    if (!manifest) throw Refusal{400, "the body is no manifest of a stage's artifact, which is what a lease publishes"};
    const Manifest published = publishing.publish(*lease, queue.work_of(*lease), key, std::move(*manifest));
    response.set_header(kStageHeader, to_string(published.kind));
    return response.set_content(to_json(published).dump(1) + "\n", kJson);
  }
  if (manifest || publishing.find(key)) {
    throw Refusal{403, "the stage " + key + " is published under the lease of a worker only (the header " + kLeaseHeader + ")"};
  }
  blobs.keep_entry(*upload, key);
  response.status = 200;
}

void StoreServer::State::answer(const Request& request, Response& response, const ContentReader& reader) {
  std::string body;
  const bool whole = reader([&](const char* data, std::size_t size) {
    body.append(data, size);
    return true;
  });
  if (!whole) throw Refusal{408, "the body stopped coming"};
  const Json question = json_or_discarded(body);
  if (!question.is_object()) throw Refusal{400, "the body is no JSON object"};
  const std::string verb = request.matches[1];
  Json made;
  if (verb == "files") {
    const Lease lease = lease_named(store, question.at("lease").get<std::string>());
    made = files.list(lease, queue.work_of(lease));
  } else {
    made = queue.answer(verb, question);
  }
  response.set_content(canonical(made), kJson);
}

void StoreServer::State::add_routes() {
  const std::string digest = "([0-9a-f]{64})";
  // Both before a body is read, and before a client is told to send one.
  http.set_pre_routing_handler([this](const Request& request, Response& response) {
    guarded(response, [&] { check_request(request, token_digest); });
    return response.status == -1 ? httplib::Server::HandlerResponse::Unhandled : httplib::Server::HandlerResponse::Handled;
  });
  http.set_expect_100_continue_handler([this](const Request& request, Response& response) {
    guarded(response, [&] { check_request(request, token_digest); });
    return response.status == -1 ? 100 : response.status;
  });
  http.set_error_handler([](const Request&, Response& response) {
    if (response.body.empty()) refuse(response, {response.status, sentence_of(response.status)});
  });
  http.Get("/cas/" + digest,
           [this](const Request& request, Response& response) { guarded(response, [&] { get_content(request, response); }); });
  http.Put("/cas/" + digest, [this](const Request& request, Response& response, const ContentReader& reader) {
    guarded(response, [&] { put_content(request, response, reader); });
  });
  http.Get("/ac/" + digest,
           [this](const Request& request, Response& response) { guarded(response, [&] { get_entry(request, response); }); });
  http.Put("/ac/" + digest, [this](const Request& request, Response& response, const ContentReader& reader) {
    guarded(response, [&] { put_entry(request, response, reader); });
  });
  http.Post("/queue/([a-z_]{1,32})", [this](const Request& request, Response& response, const ContentReader& reader) {
    guarded(response, [&] { answer(request, response, reader); });
  });
}

StoreServer::StoreServer(const ServeOptions& options) {
  check_open(options);
  state_ = std::make_unique<State>(options);
  state_->add_routes();
  state_->port = state_->http.begin(options.host, options.port);
  state_->url = StoreAddress{"http", options.host, state_->port}.text();
}

StoreServer::~StoreServer() = default;

int StoreServer::port() const { return state_->port; }

std::string StoreServer::url() const { return state_->url; }

}  // namespace holdfast
