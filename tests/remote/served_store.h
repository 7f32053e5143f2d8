// A store that is served from this process, with a queue in which a run could have posted, for tests of both sides.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "base/digest.h"
#include "queue/directory_queue.h"
#include "remote/client.h"
#include "remote/http_queue.h"
#include "remote/server.h"
#include "run/posted_work.h"
#include "store/put.h"

namespace holdfast {

class ServedStore : public testing::Test {
 protected:
  void serve(ServeOptions options = {}) {
    server.reset();
    options.store = store.root();
    server = std::make_unique<StoreServer>(options);
    client = std::make_unique<StoreClient>(store_address(server->url()), options.token, 3);
  }

  /// A stage that collects rows, as a run posts it.
  static StageRequest stage(char letter) {
    StageRequest made;
    made.kind = StageKind::kCollect;
    made.key = std::string(64, letter);
    made.document = {{"kind", "collect"}, {"letter", std::string(1, letter)}};
    made.task = Json::object();
    return made;
  }
  Lease taken(const std::vector<StageRequest>& stages, double lost_after = 60) {
    queue.post(posting_of(stages, {}));
    HttpQueue worker(*client, cache.root());
    const auto ready = worker.ready();
    EXPECT_EQ(ready.size(), 1u);
    auto lease = worker.take(ready.at(0), "000000000000-1-1", lost_after);
    EXPECT_TRUE(lease);
    return *lease;
  }
  /// What a silent worker's lease becomes.
  void lose(const Lease& lease) {
    ASSERT_TRUE(fs::exists(store.root() / kQueue / "leased" / lease.name));
    queue.give_back({lease.name, lease.id, lease.worker, lease.token, store.root() / kQueue / "leased" / lease.name, {}});
  }
  /// In the worker's own store.
  Manifest made(const StageRequest& request, const std::string& rows) {
    const fs::path folder = cache.begin();
    write_file(folder / "data.jsonl", rows);
    write_file(folder / "empty", "");
    Manifest manifest;
    manifest.kind = request.kind;
    manifest.key = request.key;
    manifest.document = request.document;
    manifest.digest = "digest of " + rows;
    manifest.cost["seconds"] = 3;
    return cache.commit(folder, manifest);
  }

  /// Sends the bytes as they are and returns all that comes back until the connection ends.
  std::string raw(const std::string& bytes, bool ends_sending = false) const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(server->port()));
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t step = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (step <= 0) break;
      sent += static_cast<std::size_t>(step);
    }
    if (ends_sending) ::shutdown(socket, SHUT_WR);
    std::string answer;
    char piece[4096];
    for (ssize_t got = 1; got > 0;) {
      got = ::recv(socket, piece, sizeof piece, 0);
      if (got > 0) answer.append(piece, static_cast<std::size_t>(got));
    }
    ::close(socket);
    return answer;
  }
  /// The status of an answer, and its sentence.
  static int status(const std::string& answer) { return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3)); }
  static std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

  ScratchFolder folder;
  Store store{folder / "store"};
  Store cache{folder / "cache"};
  DirectoryQueue queue{store.root() / kQueue};
  std::unique_ptr<StoreServer> server;
  std::unique_ptr<StoreClient> client;
};

}  // namespace holdfast
