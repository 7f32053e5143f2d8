// Numbers as tables print them.
#pragma once

#include <cstdio>
#include <string>

namespace holdfast {

/// With so many digits after the point, whatever the locale of streams.
inline std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

}  // namespace holdfast
