// Comma-separated values as RFC 4180 has them.
#pragma once

#include <string>

namespace holdfast {

/// A field, in quotes where it needs them.
std::string csv_field(const std::string& text);

}  // namespace holdfast
