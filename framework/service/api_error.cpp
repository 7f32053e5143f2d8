#include "service/api_error.h"

namespace holdfast {
namespace {

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

Json to_json(const ApiError& error) {
  return {{"error",
           {{"message", error.message},
            {"type", error.type},
            {"param", text_or_null(error.param)},
            {"code", text_or_null(error.code)}}}};
}

ApiError wrong_field(const std::string& param, const std::string& message, const std::string& code) {
  return {.status = 400, .message = message, .param = param, .code = code};
}

ApiError no_such(const std::string& what, const std::string& name, const std::string& param) {
  return {.status = 404, .message = "there is no " + what + " " + in_quotes(name), .param = param, .code = "not_found"};
}

ApiError no_such_model(const std::string& name) {
  return {.status = 404,
          .message = "there is no model " + in_quotes(name) + ": GET /v1/models lists those that you may use",
          .param = "model",
          .code = "model_not_found"};
}

ApiError conflict(const std::string& message) { return {.status = 409, .message = message, .code = "conflict"}; }

ApiError over_quota(const std::string& message) {
  return {.status = 429, .message = message, .type = "insufficient_quota", .code = "insufficient_quota"};
}

ApiError too_many(const std::string& message, int retry_after) {
  return {
      .status = 429, .message = message, .type = "rate_limit_error", .code = "rate_limit_exceeded", .retry_after = retry_after};
}

ApiError not_ready(const std::string& message, int retry_after) {
  return {.status = 503, .message = message, .type = "server_error", .code = "not_ready", .retry_after = retry_after};
}

}  // namespace holdfast
