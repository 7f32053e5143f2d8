// What an action is refused with.
#pragma once

#include <holdfast/error.h>

#include <functional>
#include <string>

namespace holdfast {

/// The message of the Error that the action ends in, or "no error".
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace holdfast
