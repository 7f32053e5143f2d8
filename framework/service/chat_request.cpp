#include "service/chat_request.h"

#include "service/request_fields.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMostTokens = 1 << 20;
constexpr std::size_t kLongestText = 4 << 20;
constexpr std::size_t kMostTexts = 1024;

// A list of {"type": "text", "text"}: other media cannot be told to a language model.
std::string joined_parts(const Json& parts, const std::string& place) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string here = place + "[" + std::to_string(i) + "]";
    if (!parts[i].is_object())
      throw wrong_field(here, "\"" + here + "\" is no object, expected {\"type\": \"text\", \"text\"}");
    RequestFields part(parts[i], here + ".");
    const std::string type = part.required_text("type");
    if (type != "text") {
      throw wrong_field(here + ".type", "a part of type " + in_quotes(type) + " is not served here, expected \"text\"",
                        "unsupported_parameter");
    }
    text += part.text("text", "", kLongestText);
    part.finish();
  }
  return text;
}

std::string content_of(RequestFields& message) {
  const Json& content = message.value("content");
  const std::string place = message.path("content");
  if (content.is_array() && !content.empty()) return joined_parts(content, place);
  if (content.is_string()) return content.get<std::string>();
  throw wrong_field(place, "\"" + place + "\" is no text, expected a text or a list of {\"type\": \"text\", \"text\"}");
}

std::string role_of(RequestFields& message) {
  const std::string role = message.required_text("role");
  if (role == "developer") return "system";
  if (role == "system" || role == "user" || role == "assistant") return role;
  throw wrong_field(
      message.path("role"),
      "the role " + in_quotes(role) + " is not served here, expected \"system\", \"developer\", \"user\" or \"assistant\"");
}

Conversation messages_of(RequestFields& fields) {
  const Json& list = fields.list("messages");
  if (list.empty()) throw wrong_field("messages", "the request has no \"messages\", expected a list of at least one");
  Conversation messages;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = "messages[" + std::to_string(i) + "]";
    if (!list[i].is_object()) throw wrong_field(place, "\"" + place + "\" is no object, expected {\"role\", \"content\"}");
    RequestFields message(list[i], place + ".");
    const std::string role = role_of(message);
    messages.push_back({role, content_of(message)});
    message.refuse("name", {}, "speakers are known by their roles alone");
    message.refuse("refusal", {}, "a refusal is said as \"content\"");
    message.refuse("audio", {}, "only texts are served");
    message.refuse("tool_calls", {Json::array()}, "no tools are served");
    message.refuse("function_call", {}, "no tools are served");
    message.refuse("annotations", {Json::array()}, "only texts are served");
    message.finish();
  }
  if (messages.back().role == "user") return messages;
  throw ApiError{.status = 422,
                 .message = "the last of the \"messages\" is a turn of the " + messages.back().role +
                            ", expected one of the user, which the model then answers",
                 .param = "messages"};
}

void read_decoding(RequestFields& fields, ChatRequest& chat) {
  const bool both = fields.has("max_tokens") && fields.has("max_completion_tokens");
  if (both) throw wrong_field("max_tokens", "the request has both \"max_tokens\" and \"max_completion_tokens\", expected one");
  chat.max_tokens = fields.integer("max_completion_tokens", 1, kMostTokens);
  if (!chat.max_tokens) chat.max_tokens = fields.integer("max_tokens", 1, kMostTokens);
  chat.temperature = fields.number("temperature", 0, 2);
  chat.top_p = fields.number("top_p", 1e-6, 1);
  chat.seed = fields.integer("seed", 0, INT64_MAX);
}

void read_streaming(RequestFields& fields, ChatRequest& chat) {
  chat.stream = fields.flag("stream", false);
  if (auto options = fields.object("stream_options")) {
    if (!chat.stream) throw wrong_field("stream_options", "\"stream_options\" goes with \"stream\": true alone");
    chat.include_usage = options->flag("include_usage", false);
    options->refuse("include_obfuscation", {false}, "chunks are not padded");
    options->finish();
  }
}

void refuse_unserved_of_chat(RequestFields& fields) {
  const Json none = Json::array(), empty = Json::object();
  fields.refuse("n", {1}, "a request gets one answer");
  fields.refuse("stop", {none}, "an answer ends where the model ends it, or at \"max_completion_tokens\"");
  fields.refuse("logprobs", {false}, "answers come without probabilities");
  fields.refuse("top_logprobs", {0}, "answers come without probabilities");
  fields.refuse("logit_bias", {empty}, "no token is favoured");
  fields.refuse("frequency_penalty", {0}, "repetitions are not punished");
  fields.refuse("presence_penalty", {0}, "repetitions are not punished");
  fields.refuse("tools", {none}, "no tools are served");
  fields.refuse("tool_choice", {"none", "auto"}, "no tools are served");
  fields.refuse("parallel_tool_calls", {true, false}, "no tools are served");
  fields.refuse("functions", {none}, "no tools are served");
  fields.refuse("function_call", {"none", "auto"}, "no tools are served");
  fields.refuse("response_format", {{{"type", "text"}}}, "answers are plain text");
  fields.refuse("modalities", {{"text"}}, "answers are plain text");
  fields.refuse("audio", {}, "answers are plain text");
  fields.refuse("prediction", {}, "no answer is predicted");
  fields.refuse("reasoning_effort", {}, "a model reasons as its template has it");
  fields.refuse("verbosity", {}, "a model is as long as it is");
  fields.refuse("web_search_options", {}, "no tools are served");
  fields.refuse("moderation", {}, "what stands around a model is its provider's choice");
  fields.refuse("service_tier", {"auto", "default"}, "there is one tier");
  fields.refuse("store", {false}, "chats are not stored");
  fields.refuse("prompt_cache_options", {}, "no prompts are cached");
  fields.refuse("prompt_cache_retention", {}, "no prompts are cached");
}

}  // namespace

ChatRequest chat_request(const Json& body) {
  RequestFields fields(body);
  ChatRequest chat;
  chat.model = fields.required_text("model");
  chat.messages = messages_of(fields);
  read_decoding(fields, chat);
  read_streaming(fields, chat);
  refuse_unserved_of_chat(fields);
  read_metadata(fields);  // of no use where chats are not stored; so are the next three, which only name somebody
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) fields.text(name, "");
  fields.finish();
  return chat;
}

ModerationRequest moderation_request(const Json& body) {
  RequestFields fields(body);
  ModerationRequest request;
  request.model = fields.text("model", "");
  const Json& input = fields.value("input");
  const auto wrong = [] {
    return wrong_field(
        "input", "\"input\" is no text, expected a text, or a list of at most 1024 texts or of {\"type\": \"text\", \"text\"}");
  };
  if (input.is_string()) {
    request.texts = {input.get<std::string>()};
  } else if (!input.is_array() || input.empty() || input.size() > kMostTexts) {
    throw wrong();
  } else if (input.front().is_object()) {
    request.texts = {joined_parts(input, "input")};
  } else {
    for (const auto& text : input) {
      if (!text.is_string()) throw wrong();
      request.texts.push_back(text.get<std::string>());
    }
  }
  fields.finish();
  return request;
}

}  // namespace holdfast
