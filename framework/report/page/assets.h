// The page's style and script: page.css, common.js, story.js and board.js of this folder, which the build makes constants.
#pragma once

#include <string_view>

namespace holdfast {

extern const std::string_view kPageStyle;
extern const std::string_view kPageCommon, kPageStory, kPageBoard;

}  // namespace holdfast
