// What --help prints, made by the build from the whole program's own (verb_help_texts.cpp).
#pragma once

#include <string_view>

namespace holdfast {

/// A JSON object: the help of each verb by its name, and of the program by an empty one.
extern const std::string_view kHelpTexts;

}  // namespace holdfast
