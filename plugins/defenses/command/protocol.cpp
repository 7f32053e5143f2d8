#include "protocol.h"

#include <holdfast/error.h>

#include <algorithm>
#include <initializer_list>

namespace command {
namespace {

using holdfast::Conversation;
using holdfast::Error;
using holdfast::JsonTree;

// The object of a line, which may have these fields alone.
JsonTree::Object object_of(const JsonTree& tree, std::initializer_list<std::string> known, const std::string& what) {
  const auto* object = std::get_if<JsonTree::Object>(&tree.value);
  if (object == nullptr) throw Error(what + " is no object");
  for (const auto& [name, value] : *object) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw Error(what + " has the unknown field \"" + name + "\"");
  }
  return *object;
}

JsonTree::Object line_of(const std::string& line, std::initializer_list<std::string> known) {
  JsonTree tree;
  try {
    tree = holdfast::read_json(line);
  } catch (const Error& error) {
    throw Error(std::string("it is no line of JSON (") + error.what() + ")");
  }
  return object_of(tree, known, "it");
}

template <typename Value>
const Value& value_of(const JsonTree& tree, const std::string& field, const std::string& expected) {
  const auto* value = std::get_if<Value>(&tree.value);
  if (value == nullptr) throw Error("\"" + field + "\" is no " + expected);
  return *value;
}

holdfast::Message message_of(const JsonTree& tree, const std::string& field) {
  const auto turn = object_of(tree, {"role", "content", "weight"}, "a turn of \"" + field + "\"");
  if (!turn.contains("role") || !turn.contains("content"))
    throw Error("a turn of \"" + field + "\" lacks \"role\" or \"content\"");
  holdfast::Message message = {value_of<std::string>(turn.at("role"), "role", "text"),
                               value_of<std::string>(turn.at("content"), "content", "text")};
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    throw Error("a turn of \"" + field + "\" has another role than \"system\", \"user\" and \"assistant\"");
  }
  if (turn.contains("weight")) {
    const double weight = value_of<double>(turn.at("weight"), "weight", "number");
    if (weight != 0 && weight != 1) throw Error("\"weight\" is neither 0 nor 1");
    message.learned = weight == 1;
  }
  return message;
}

// A conversation whose last turn is of that role.
Conversation conversation_of(const JsonTree& tree, const std::string& field, const std::string& last) {
  Conversation conversation;
  for (const auto& turn : value_of<JsonTree::List>(tree, field, "list of turns")) {
    conversation.push_back(message_of(turn, field));
  }
  if (conversation.empty() || conversation.back().role != last) {
    throw Error("\"" + field + "\" does not end with a turn of the role \"" + last + "\"");
  }
  return conversation;
}

}  // namespace

JsonTree tree_of(const Conversation& conversation) {
  JsonTree::List turns;
  for (const auto& turn : conversation) {
    JsonTree::Object object = {{"role", {turn.role}}, {"content", {turn.content}}};
    if (turn.role == "assistant" && !turn.learned) object["weight"] = {0.0};
    turns.push_back({std::move(object)});
  }
  return {std::move(turns)};
}

ScreenAnswer read_screen_answer(const std::string& line) {
  const auto fields = line_of(line, {"keep", "messages", "add"});
  ScreenAnswer answer;
  if (fields.contains("keep") == fields.contains("messages")) throw Error("it has not just one of \"keep\" and \"messages\"");
  if (fields.contains("keep")) answer.keep = value_of<bool>(fields.at("keep"), "keep", "true or false");
  if (fields.contains("messages")) answer.messages = conversation_of(fields.at("messages"), "messages", "assistant");
  if (!fields.contains("add")) return answer;
  for (const auto& row : value_of<JsonTree::List>(fields.at("add"), "add", "list of rows")) {
    answer.add.push_back(conversation_of(row, "add", "assistant"));
  }
  return answer;
}

ServeAnswer read_before_answer(const std::string& line) {
  const auto fields = line_of(line, {"prompt", "reply"});
  ServeAnswer answer;
  if (fields.size() > 1) throw Error("it has both \"prompt\" and \"reply\"");
  if (fields.contains("prompt")) answer.prompt = conversation_of(fields.at("prompt"), "prompt", "user");
  if (fields.contains("reply")) answer.reply = value_of<std::string>(fields.at("reply"), "reply", "text");
  return answer;
}

ServeAnswer read_after_answer(const std::string& line) {
  const auto fields = line_of(line, {"reply"});
  ServeAnswer answer;
  if (fields.contains("reply")) answer.reply = value_of<std::string>(fields.at("reply"), "reply", "text");
  return answer;
}

}  // namespace command
