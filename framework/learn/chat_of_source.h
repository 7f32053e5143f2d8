// A checkpoint's chat template, without its weights.
#pragma once

#include <memory>
#include <string>

#include "text/chat_template.h"

namespace holdfast {

/// The template that load_model would use. None where the checkpoint has none. Throws Error as load_model does.
std::shared_ptr<const ChatTemplate> load_chat(const std::string& source);

}  // namespace holdfast
