#include "remote/requests.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/digest.h"
#include "remote/blobs.h"
#include "remote/limited_server.h"
#include "remote/wire.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kLargestEntry = 64UL << 20;  // of a client's own under /ac
constexpr std::uint64_t kLargestQuestion = 4UL << 20;
constexpr const char* kPlain = "text/plain; charset=utf-8";
constexpr const char* kBytes = "application/octet-stream";

using httplib::Request;
using httplib::Response;

// Takes as long whatever the two have in common.
bool same(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

void check_token(const Request& request, const std::string& expected) {
  if (expected.empty()) return;
  constexpr std::string_view kBearer = "Bearer ";
  const std::string given = request.get_header_value("Authorization");
  const std::string token = given.starts_with(kBearer) ? given.substr(kBearer.size()) : "";
  if (same(sha256(token), expected)) return;
  throw Refusal{401, "the request carries no token, or another one than this server was started with"};
}

// What may be asked for: /cas and /ac, each with a digest, and verbs of the queue.
void check_route(const Request& request) {
  const bool of_blob = request.method != "POST" && is_sha256(request.path.substr(request.path.rfind('/') + 1));
  const std::string folder = request.path.substr(0, request.path.rfind('/') + 1);
  if (of_blob && (folder == "/cas/" || folder == "/ac/")) return;
  if (request.method == "POST" && folder == "/queue/") return;
  throw Refusal{404,
                "there is no such place: expected GET, HEAD or PUT of /cas/<SHA-256> or /ac/<key>, in 64 lower-case "
                "hexadecimal digits, or POST of /queue/<verb>"};
}

std::uint64_t most_of(const Request& request) {
  if (request.path.starts_with("/cas/")) return UINT64_MAX;
  return request.path.starts_with("/ac/") ? kLargestEntry : kLargestQuestion;
}

// What can be said of a request with a body before the body is read.
void check_body(const Request& request) {
  const auto length = body_bytes(request);
  if (!length || !request.has_header("Content-Length")) {
    throw Refusal{411, "the request has no plain Content-Length: send the body whole, and not in chunks"};
  }
  if (request.has_header("Content-Encoding") || request.get_header_value("Content-Type").starts_with("multipart/")) {
    throw Refusal{415, "the body is encoded or in parts: send it as it is"};
  }
  if (*length > most_of(request)) {
    throw Refusal{413, "the body has " + std::to_string(*length) + " bytes, at most " + std::to_string(most_of(request)) +
                           " are taken here"};
  }
}

// A file's content, in pieces.
class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  std::size_t size() const { return static_cast<std::size_t>(std::max<off_t>(0, ::lseek(descriptor_, 0, SEEK_END))); }
  bool send(std::size_t offset, std::size_t length, httplib::DataSink& sink) const {
    std::string piece(std::min(length, kPiece), '\0');
    const ssize_t got = ::pread(descriptor_, piece.data(), piece.size(), static_cast<off_t>(offset));
    return got > 0 && sink.write(piece.data(), static_cast<std::size_t>(got));
  }

 private:
  int descriptor_;
};

}  // namespace

void check_request(const Request& request, const std::string& token_digest) {
  check_token(request, token_digest);
  static const std::set<std::string> known = {"GET", "HEAD", "PUT", "POST"};
  if (!known.contains(request.method))
    throw Refusal{405, "the method is " + request.method + ", expected GET, HEAD, PUT or POST"};
  check_route(request);
  if (request.method == "PUT" || request.method == "POST") check_body(request);
}

void refuse(Response& response, const Refusal& refusal) {
  response.status = refusal.status;
  if (refusal.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (refusal.more.is_null()) return response.set_content(refusal.sentence + "\n", kPlain);
  Json answer = refusal.more;
  answer["error"] = refusal.sentence;
  response.set_content(canonical(answer), kJson);
}

std::string sentence_of(int status) {
  if (status == 414) return "the address of the request is too long";
  if (status == 400) return "the request is no HTTP/1.1, its head is larger than this server takes, or it came too slowly";
  return "the request cannot be served (" + std::to_string(status) + ")";
}

void send_file(Response& response, const fs::path& path) {
  const auto file = std::make_shared<OpenFile>(path);
  if (!file->is_open()) throw Refusal{404, "there is nothing of that digest"};
  if (file->size() == 0) return response.set_content("", kBytes);
  response.set_content_provider(file->size(), kBytes, [file](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
    return file->send(offset, length, sink);
  });
}

}  // namespace holdfast
