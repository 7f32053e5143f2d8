// What a customer sends to the service: a letter for the route, then the body. A form's content comes in pieces, of the size
// that the letter says.
#include "fuzz/fuzz.h"
#include "service/chat_request.h"
#include "service/job_request.h"
#include "service/request_fields.h"
#include "service/together_request.h"
#include "service/upload_form.h"

namespace holdfast::fuzz {
namespace {

void read_form(std::string_view body, std::size_t piece) {
  constexpr std::int64_t kMost = 1 << 16;
  std::size_t taken = 0;
  UploadForm form("multipart/form-data; boundary=b", kMost, [&](std::string_view bytes) { taken += bytes.size(); });
  for (std::size_t at = 0; at < body.size(); at += piece) form.read(body.substr(at, piece));
  const UploadOrder order = form.finish();
  expect(taken <= body.size(), "a form holds no more than its body");
  expect(order.filename.find('/') == std::string::npos, "a file's name is no path");
}

void read_body(char route, std::string_view body) {
  const std::string text(body);
  switch (route) {
    case 'j':
      check_suffix(job_request(parse_body(text)).suffix, "suffix");
      return;
    case 'c':
      expect(chat_request(parse_body(text)).messages.back().role == "user", "a chat ends with its user");
      return;
    case 'm':
      expect(!moderation_request(parse_body(text)).texts.empty(), "a moderation is of something");
      return;
    case 't':
      together_request(parse_body(text));
      return;
    case 'b':
      multipart_boundary(text);
      return;
    default:
      read_form(body, 1 + static_cast<unsigned char>(route) % 32);
  }
}

void read(std::string_view input) {
  if (input.empty()) return;
  try {
    read_body(input[0], input.substr(1));
  } catch (const ApiError& error) {
    expect(error.status >= 400 && !error.message.empty(), "a refusal says what is wrong");
    must([&] { static_cast<void>(canonical(to_json(error))); });
  }
}

const Added added("service_request", read);

}  // namespace
}  // namespace holdfast::fuzz
