// What the store's server can say of a request before its body is read, and how it says no.
#pragma once

#include <httplib.h>

#include <string>

#include "base/file.h"
#include "remote/refusal.h"

namespace holdfast {

/// Throws Refusal for a request without the token of that SHA-256 (empty: none is asked for), for a place that there is none
/// of, and for a body that is too large there, or comes in a form that is not taken.
void check_request(const httplib::Request& request, const std::string& token_digest);

/// Turns the answer into that refusal.
void refuse(httplib::Response& response, const Refusal& refusal);
/// What is said where cpp-httplib refused a request itself.
std::string sentence_of(int status);

/// Answers with the file's content, in pieces. Throws Refusal where it is gone.
void send_file(httplib::Response& response, const fs::path& path);

}  // namespace holdfast
