#include "service/chat_errors.h"

namespace holdfast {
namespace {

constexpr int kRetryChatAfter = 5;  // seconds

ApiError fault_of_ours(int status, const std::string& message, const std::string& code) {
  return {.status = status, .message = message, .type = "server_error", .code = code};
}

}  // namespace

ApiError api_error_of(const ChatRefused& refused) {
  switch (refused.fault) {
    case ChatFault::kQuestion:
      return wrong_field("messages", refused.what());
    case ChatFault::kContext:
      return wrong_field("messages", refused.what(), "context_length_exceeded");
    case ChatFault::kBusy: {
      ApiError busy = fault_of_ours(503, refused.what(), "overloaded");
      busy.retry_after = kRetryChatAfter;
      return busy;
    }
    case ChatFault::kTimeout:
      return fault_of_ours(504, refused.what(), "timeout");
    case ChatFault::kProcess:
      return fault_of_ours(500, refused.what(), "model_failed");
  }
  return fault_of_ours(500, refused.what(), "model_failed");
}

StageRequest ready(const std::optional<StageRequest>& stage, const std::string& model) {
  if (stage) return *stage;
  throw not_ready("the weights of " + in_quotes(model) + " are not there yet: try again in a moment", kRetryChatAfter);
}

}  // namespace holdfast
