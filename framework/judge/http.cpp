#include "judge/http.h"

#include <curl/curl.h>
#include <holdfast/error.h>

#include <algorithm>

#include "judge/loopback.h"

namespace holdfast {
namespace {

constexpr std::size_t kLargestBody = std::size_t{16} << 20;

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

void add(Headers& headers, const std::string& line) {
  curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
  HOLDFAST_CHECK(longer != nullptr);
  (void)headers.release();
  headers.reset(longer);
}

using Form = std::unique_ptr<curl_mime, decltype(&curl_mime_free)>;

void fill(const Form& form, const std::vector<FormPart>& parts) {
  HOLDFAST_CHECK(form != nullptr);
  for (const auto& each : parts) {
    curl_mimepart* part = curl_mime_addpart(form.get());
    HOLDFAST_CHECK(part != nullptr);
    curl_mime_name(part, each.name.c_str());
    curl_mime_data(part, each.content.data(), each.content.size());
    if (!each.file_name.empty()) curl_mime_filename(part, each.file_name.c_str());
  }
}

// libcurl's way of being handed a piece of the body; a smaller number than it gave ends the transfer.
std::size_t take(const char* data, std::size_t, std::size_t size, void* target) {
  auto& body = *static_cast<std::string*>(target);
  if (body.size() + size > kLargestBody) return 0;
  body.append(data, size);
  return size;
}

bool cannot_mend(CURLcode code) {
  static constexpr CURLcode kCodes[] = {CURLE_URL_MALFORMAT,      CURLE_UNSUPPORTED_PROTOCOL, CURLE_PEER_FAILED_VERIFICATION,
                                        CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CIPHER,
                                        CURLE_SSL_ISSUER_ERROR,   CURLE_WRITE_ERROR};
  return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw Error(std::string("libcurl does not start: ") + curl_easy_strerror(started));
}

}  // namespace

struct HttpClient::State {
  CURL* curl = nullptr;
  char error[CURL_ERROR_SIZE] = {};
  ~State() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient() : state_(std::make_unique<State>()) {
  start_curl();
  state_->curl = curl_easy_init();
  if (state_->curl == nullptr) throw Error("libcurl has no memory for a connection");
  curl_easy_setopt(state_->curl, CURLOPT_NOSIGNAL, 1L);  // other threads send too
  curl_easy_setopt(state_->curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(state_->curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(state_->curl, CURLOPT_USERAGENT, "holdfast");
  curl_easy_setopt(state_->curl, CURLOPT_ERRORBUFFER, state_->error);
  curl_easy_setopt(state_->curl, CURLOPT_WRITEFUNCTION, &take);
}

HttpClient::~HttpClient() = default;

HttpReply HttpClient::send(const HttpRequest& request) {
  HttpReply reply;
  Headers headers(nullptr, &curl_slist_free_all);
  CURL* curl = state_->curl;
  const Form form(curl_mime_init(curl), &curl_mime_free);
  add(headers, "Expect:");  // no waiting for "100 Continue" before a long body
  if (!request.bearer.empty()) add(headers, "Authorization: Bearer " + request.bearer);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, nullptr);
  curl_easy_setopt(curl, CURLOPT_MIMEPOST, nullptr);
  if (request.method != "POST") {
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (!request.form.empty()) {
    fill(form, request.form);
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, form.get());
  } else {
    add(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, is_loopback(request.url) ? "" : nullptr);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(request.timeout * 1000)));
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, request.once ? 1L : 0L);
  state_->error[0] = '\0';
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_MIMEPOST, nullptr);  // it ends here
  if (code != CURLE_OK) {
    reply.failure = state_->error[0] != '\0' ? state_->error : curl_easy_strerror(code);
    reply.permanent = cannot_mend(code);
    return reply;
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  curl_off_t wait = 0;
  if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK) reply.retry_after = static_cast<double>(wait);
  return reply;
}

}  // namespace holdfast
