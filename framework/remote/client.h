// A client of a served store. Where the server is away for a moment it waits and asks again; the token goes into a header and
// nowhere else.
#pragma once

#include <holdfast/error.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "remote/address.h"

namespace holdfast {

struct StoreReply {
  int status = 0;
  std::string body = {};
  std::string stage = {};  // the kind, where the body is a stage's manifest

  /// The sentence of a reply that refuses.
  std::string sentence() const;
};

/// Nobody answered for as long as the client was patient. No Error: what a stage asks for is not to blame, and whoever holds a
/// lease gives up all that it does.
class StoreAway : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// For one thread at a time.
class StoreClient {
 public:
  /// Patience, in seconds, with what is said again soon.
  static constexpr double kBriefly = 2;

  /// `patience`: the seconds for which a server that is away, or in trouble (5xx), is asked again.
  StoreClient(StoreAddress address, std::string token, double patience = 60);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  const std::string& url() const { return url_; }
  /// A second connection to the same server, for another thread.
  std::unique_ptr<StoreClient> another() const;

  // All throw Error for an answer that says no to the token, and where the server is in trouble still when the patience is used
  // up; StoreAway where it does not answer.

  /// POST /queue/<verb>. Throws Error for any other answer but 200. `patience`: of this call, where it is not the client's.
  Json ask(const std::string& verb, const Json& question, std::optional<double> patience = {});

  // Of those below any other answer is returned. `lease` is the name of the one under which it is done; empty: none.

  StoreReply get(const std::string& path, const std::string& lease = {});
  StoreReply put(const std::string& path, const std::string& body, const std::string& lease = {});
  StoreReply put_file(const std::string& path, const fs::path& file, const std::string& lease = {});
  /// GET /cas/<sha256> into a new file, which is whole and has that digest, or is not there. A file that is damaged at the
  /// server counts as one that is not there (404), with a warning.
  StoreReply fetch(const std::string& sha256, const fs::path& file, const std::string& lease = {});

  /// What `read` reads out of the answer from that path. Throws Error naming the path where it is not as a store of this
  /// program answers.
  template <typename Read>
  auto understood(const std::string& path, const Read& read) const {
    try {
      return read();
    } catch (const Json::exception& error) {
      throw Error(url_ + path + " answers as no store of this program does: " + error.what());
    }
  }

 private:
  struct State;
  struct Tried;

  template <typename Send>
  StoreReply send(const std::string& what, double patience, const Send& try_once);

  const StoreAddress address_;
  const std::string token_, url_;
  const double patience_;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
