#include "remote/limited_server.h"

#include <holdfast/error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace holdfast {
namespace {

constexpr std::size_t kThreads = 96;
constexpr int kCrowd = 64;  // connections beyond which none is kept
constexpr int kBacklog = 512;

thread_local const Connection* served_connection = nullptr;

void own_address(socket_t socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // of a server that was killed a moment ago
}

}  // namespace

std::optional<std::uint64_t> body_bytes(const httplib::Request& request) {
  if (request.has_header("Transfer-Encoding") || request.get_header_value_count("Content-Length") > 1) return std::nullopt;
  const std::string text = request.get_header_value("Content-Length");
  constexpr std::size_t kMostDigits = 18;
  if (text.size() > kMostDigits || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return text.empty() ? 0 : std::stoull(text);
}

bool client_is_gone() { return served_connection != nullptr && served_connection->is_gone(); }

LimitedServer::LimitedServer(const ConnectionLimits& limits) : limits_(limits) {
  set_socket_options(own_address);
  new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
}

LimitedServer::~LimitedServer() {
  stopping_ = true;
  stop();
  if (listener_.joinable()) listener_.join();
}

int LimitedServer::begin(const std::string& host, int port) {
  const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
  if (bound <= 0) {
    throw Error("cannot serve at " + host + ":" + std::to_string(port) +
                ": the address is not this machine's, or another program has it");
  }
  ::listen(svr_sock_, kBacklog);
  listener_ = std::thread([this] { listen_after_bind(); });
  while (!is_running()) std::this_thread::yield();
  return bound;
}

bool LimitedServer::process_and_close_socket(socket_t socket) {
  const int now = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
  const bool crowded = ++open_ > kCrowd;
  Connection connection(socket, limits_, stopping_);
  served_connection = &connection;
  bool goes_on = true;
  while (goes_on && connection.await_request()) {
    bool closed = false;
    const bool served = process_request(connection, crowded, closed, [&](httplib::Request& request) {
      request.ranges.clear();  // a part of a file is asked for by none of our clients, and all of it is a right answer too
      if (on_head_) on_head_(request);
      if (const auto bytes = body_bytes(request)) connection.begin_body(*bytes);
    });
    goes_on = served && !closed && !crowded && connection.is_whole();
  }
  served_connection = nullptr;
  connection.end();
  ::close(socket);
  --open_;
  return true;
}

}  // namespace holdfast
