// Bytes made small.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

/// In zlib's form (RFC 1950), which browsers unpack by themselves. The same bytes give the same.
std::string deflated(std::string_view bytes);

}  // namespace holdfast
