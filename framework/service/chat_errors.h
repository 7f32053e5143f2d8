// Why models do not answer, in the protocol's form.
#pragma once

#include <optional>
#include <string>

#include "service/api_error.h"
#include "service/chat.h"

namespace holdfast {

ApiError api_error_of(const ChatRefused& refused);

/// What is asked; throws ApiError (503) where its weights are not there yet.
StageRequest ready(const std::optional<StageRequest>& stage, const std::string& model);

/// Asks the backend; its refusals become ApiErrors.
template <typename Ask>
auto asking(const Ask& ask) {
  try {
    return ask();
  } catch (const ChatRefused& refused) {
    throw api_error_of(refused);
  }
}

}  // namespace holdfast
