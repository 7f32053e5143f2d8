// Servers like to quote what they were sent; what they say ends in messages and files.
#pragma once

#include <string>

namespace holdfast {

/// What a server said, with "[key]" wherever it quotes the key; in JSON a key may be written with escapes.
std::string discreet(std::string body, const std::string& key);

}  // namespace holdfast
