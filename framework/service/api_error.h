// What a request to the service is refused with, in the protocol's form.
#pragma once

#include <string>

#include "base/json.h"

namespace holdfast {

/// Thrown by whoever serves a request. Clients know the status by an exception of theirs.
struct ApiError {
  int status = 400;
  std::string message = {};
  std::string type = "invalid_request_error";
  std::string param = {};  // the field at fault; empty: none
  std::string code = {};   // for programs; empty: none
  int retry_after = 0;     // seconds after which it may be tried again; 0: it is not said
};

/// {"error": {"message", "type", "param", "code"}}
Json to_json(const ApiError& error);

/// 400: the field is not as it should be.
ApiError wrong_field(const std::string& param, const std::string& message, const std::string& code = "");
/// 404: the customer has nothing of that name.
ApiError no_such(const std::string& what, const std::string& name, const std::string& param = "");
/// 404, as the protocol says it of models.
ApiError no_such_model(const std::string& name);
/// 409: what is asked for does not go with the state of things.
ApiError conflict(const std::string& message);
/// 429: nothing of it is left.
ApiError over_quota(const std::string& message);
/// 429: too much of it at a time.
ApiError too_many(const std::string& message, int retry_after);
/// 503: it will be there soon.
ApiError not_ready(const std::string& message, int retry_after);

}  // namespace holdfast
