// Errors as services describe them.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// Under "error", in a list of one, or as the body itself.
struct ServerError {
  std::vector<std::string> codes;
  std::string message = {};  // empty: the body is no description that is known, and may quote what was asked
  bool flagged = false;      // by a gateway's moderation
};
ServerError server_error(const Json& body);

/// Whether a code, type or finish reason says that something was turned down for its content.
bool names_declining(const std::string& code);
/// Whether a request was turned down for its content.
bool declines(long status, const ServerError& error);
/// Whether sending the request again may help.
bool may_pass(long status, const ServerError& error);
/// "HTTP status 400, "no such model"".
std::string trouble_text(long status, const ServerError& error, const std::string& body);

/// What a server says, fit for a message: one line, no control characters, not long.
std::string shown(const std::string& text);
/// The member of an object; null where there is none.
const Json& member(const Json& json, const char* name);
std::string text_or_number(const Json& json);

}  // namespace holdfast
