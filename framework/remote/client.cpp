#include "remote/client.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/seconds_since.h"
#include "base/untrusted.h"
#include "remote/upload.h"
#include "remote/wire.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr time_t kConnect = 10;       // seconds
constexpr time_t kQuiet = 300;        // a server may have to read a large model before it answers
constexpr time_t kBrieflyQuiet = 10;  // where the caller has little patience
constexpr double kFirstPause = 0.05, kLongestPause = 3;
constexpr int kTooSlow = 408;
constexpr std::size_t kLargestReply = 256UL << 20;

// What asking again cannot mend.
bool is_final(httplib::Error error) {
  return error == httplib::Error::SSLLoadingCerts || error == httplib::Error::SSLServerVerification;
}

std::string in_words(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "nobody listens there";
    case httplib::Error::ConnectionTimeout:
      return "its machine does not answer";
    case httplib::Error::Read:
      return "no whole answer came";
    case httplib::Error::Write:
      return "the connection ended while the request was sent";
    case httplib::Error::SSLServerVerification:
      return "its certificate does not hold on this machine (SSL_CERT_FILE names those that do)";
    default:
      return httplib::to_string(error);
  }
}

// An exception would leave the connection in the middle of an answer.
bool wrote(Upload& file, const char* data, std::size_t size, std::string& fault) {
  try {
    file.write(data, size);
    return true;
  } catch (const Error& error) {
    fault = error.what();
    return false;
  }
}

}  // namespace

std::string StoreReply::sentence() const {
  const Json json = json_or_discarded(body);
  if (json.is_object() && json.contains("error") && json.at("error").is_string()) return json.at("error").get<std::string>();
  constexpr std::size_t kLongest = 500;
  std::string text = body.substr(0, kLongest);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  while (text.ends_with(' ')) text.pop_back();
  return text.empty() ? "status " + std::to_string(status) : text;
}

struct StoreClient::State {
  State(const StoreAddress& address, const std::string& token) : http(address.text()) {
    http.set_keep_alive(true);
    http.set_tcp_nodelay(true);
    http.set_connection_timeout(kConnect);
    http.set_read_timeout(kQuiet);
    http.set_write_timeout(kQuiet);
    http.set_decompress(false);
    if (!token.empty()) http.set_bearer_token_auth(token);
  }

  static httplib::Headers headers(const std::string& lease) {
    httplib::Headers made;
    if (!lease.empty()) made.emplace(kLeaseHeader, lease);
    return made;
  }

  httplib::Client http;
};

/// One try: an answer, or why there was none.
struct StoreClient::Tried {
  Tried(const httplib::Result& result) : error(result.error()) {
    if (!result) return;
    reply = {result->status, result->body, result->get_header_value(kStageHeader)};
  }
  StoreReply reply;
  httplib::Error error;
};

StoreClient::StoreClient(StoreAddress address, std::string token, double patience)
    : address_(std::move(address)),
      token_(std::move(token)),
      url_(address_.text()),
      patience_(patience),
      state_(std::make_unique<State>(address_, token_)) {}

StoreClient::~StoreClient() = default;

std::unique_ptr<StoreClient> StoreClient::another() const { return std::make_unique<StoreClient>(address_, token_, patience_); }

template <typename Send>
StoreReply StoreClient::send(const std::string& what, double patience, const Send& try_once) {
  state_->http.set_read_timeout(patience < patience_ ? kBrieflyQuiet : kQuiet);
  std::optional<Clock::time_point> away;  // since the first try failed, however long that took
  double pause = kFirstPause;
  for (bool told = false;;) {
    const Tried tried = try_once();
    const int status = tried.reply.status;
    if (status == 401) {
      const bool has_token = !token_.empty();
      throw Error(url_ + (has_token ? " does not take the token in " : " asks for a token: set ") + std::string(kStoreToken) +
                  (has_token ? ": it is another one than the server was started with" : " to the one it was started with"));
    }
    if (status != 0 && status < 500 && status != kTooSlow) return tried.reply;
    if (!away) away = Clock::now();
    const std::string why = status == 0 ? in_words(tried.error) : tried.reply.sentence();
    if (is_final(tried.error) || seconds_since(*away) + pause > patience) {
      const std::string said = "the store at " + url_ + " does not answer " + what + ": " + why;
      if (status != 0) throw Error(said);
      throw StoreAway(said + "; is holdfast serve-store running there?");
    }
    if (!told && seconds_since(*away) > 1) {
      log_warning("the store at " + url_ + " is away (" + why + "): asking again");
      told = true;
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    pause = std::min(kLongestPause, 2 * pause);
  }
}

Json StoreClient::ask(const std::string& verb, const Json& question, std::optional<double> patience) {
  const std::string path = "/queue/" + verb;
  const std::string body = canonical(question);
  const StoreReply reply =
      send("POST " + path, patience.value_or(patience_), [&]() -> Tried { return state_->http.Post(path, body, kJson); });
  if (reply.status != 200) throw Error(url_ + path + " refuses: " + reply.sentence());
  return parse_json(reply.body, "the answer from " + url_ + path);
}

StoreReply StoreClient::get(const std::string& path, const std::string& lease) {
  return send("GET " + path, patience_, [&]() -> Tried {
    std::string body;
    Tried tried = state_->http.Get(path, State::headers(lease), [&](const char* data, std::size_t size) {
      body.append(data, size);
      return body.size() <= kLargestReply;
    });
    tried.reply.body = std::move(body);
    return tried;
  });
}

StoreReply StoreClient::put(const std::string& path, const std::string& body, const std::string& lease) {
  return send("PUT " + path, patience_, [&]() -> Tried { return state_->http.Put(path, State::headers(lease), body, kJson); });
}

StoreReply StoreClient::put_file(const std::string& path, const fs::path& file, const std::string& lease) {
  const MappedFile content(file);
  const auto* bytes = reinterpret_cast<const char*>(content.data());
  if (content.size() == 0) return put(path, "", lease);
  return send("PUT " + path, patience_, [&]() -> Tried {
    return state_->http.Put(
        path, State::headers(lease), content.size(),
        [&](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
          return sink.write(bytes + offset, std::min(length, kPiece));
        },
        "application/octet-stream");
  });
}

StoreReply StoreClient::fetch(const std::string& sha256, const fs::path& file, const std::string& lease) {
  const std::string path = "/cas/" + sha256;
  std::string found;  // its digest
  StoreReply reply = send("GET " + path, patience_, [&]() -> Tried {
    Upload written(file.string() + ".part");
    std::string refusal, fault;
    bool whole = false;
    Tried tried = state_->http.Get(
        path, State::headers(lease),
        [&](const httplib::Response& head) {
          whole = head.status == 200;
          return true;
        },
        [&](const char* data, std::size_t size) {
          if (whole) return wrote(written, data, size, fault);
          refusal.append(data, size);
          return refusal.size() <= kLargestReply;
        });
    if (!fault.empty()) throw Error(fault);
    tried.reply.body = std::move(refusal);
    if (tried.reply.status != 200) return tried;
    found = written.sha256();
    if (found == sha256) written.keep(file);
    return tried;
  });
  if (reply.status == 200 && found != sha256) {
    reply = {404, url_ + path + " sends content with the SHA-256 " + found + ": the store there holds a damaged file"};
    log_warning(reply.body);
  }
  return reply;
}

}  // namespace holdfast
