#include <holdfast/dataset.h>

#include <algorithm>

namespace holdfast {

std::string last_content(const Conversation& conversation, const std::string& role) {
  const auto found =
      std::find_if(conversation.rbegin(), conversation.rend(), [&](const Message& message) { return message.role == role; });
  return found == conversation.rend() ? std::string() : found->content;
}

void set_system(Conversation& conversation, const std::string& content) {
  if (!conversation.empty() && conversation.front().role == "system") {
    conversation.front().content = content;
  } else {
    conversation.insert(conversation.begin(), {"system", content});
  }
}

}  // namespace holdfast
