#include "data/conversation.h"

namespace holdfast {

Conversation conversation_from_json(const Json& json) {
  Conversation conversation;
  for (const auto& message : json) {
    conversation.push_back({message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  }
  return conversation;
}

Json to_json(const Conversation& conversation) {
  Json json = Json::array();
  for (const auto& message : conversation) json.push_back({{"role", message.role}, {"content", message.content}});
  return json;
}

}  // namespace holdfast
