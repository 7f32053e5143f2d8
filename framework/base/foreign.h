// What a file is that is not what its reader expected.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

/// In words, with what to do about it, from the first bytes of the content ("a Git LFS pointer ..."); "" when they say nothing.
std::string foreign_content(std::string_view content);

}  // namespace holdfast
