// Bytes as text that stands in JSON, HTML and URLs of data.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

/// By RFC 4648, section 4: letters, digits, "+" and "/", padded with "=".
std::string base64(std::string_view bytes);

}  // namespace holdfast
