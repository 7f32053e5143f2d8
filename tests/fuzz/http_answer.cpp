// A server's reply to a request for a completion or a moderation: a letter for its status, then its body.
#include <array>

#include "fuzz/fuzz.h"
#include "judge/completion.h"

namespace holdfast::fuzz {
namespace {

constexpr std::array<long, 8> kStatuses = {200, 400, 403, 422, 429, 451, 500, 302};

void read(std::string_view input) {
  if (input.empty()) return;
  HttpReply reply;
  reply.status = kStatuses[static_cast<unsigned char>(input[0]) % kStatuses.size()];
  reply.body = input.substr(1);
  const Completion completion = read_completion(reply), moderation = read_moderation(reply);
  for (const auto* read : {&completion, &moderation}) {
    expect(read->answer.has_value() != !read->trouble.empty(), "a reply is an answer or trouble");
  }
  if (moderation.answer) moderation_from(*moderation.answer);
}

const Added added("http_answer", read);

}  // namespace
}  // namespace holdfast::fuzz
