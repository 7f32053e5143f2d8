#include "data/formats.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "base/file.h"

namespace holdfast {
namespace {

// A row that is being read: its value, its place for messages, and the keys that are content and so no tags.
struct Row {
  const Json& value;
  const std::string& place;
  std::set<std::string> used = {};

  [[noreturn]] void refuse(const std::string& sentence) const { throw Error(place + ": " + sentence); }
  bool has(const std::string& key) const { return value.contains(key); }
};

std::string kind_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a flag";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a text";
  return value.is_array() ? "a list" : "an object";
}

std::string text_member(const Json& object, const std::string& key, const std::string& owner, const Row& row) {
  const auto found = object.find(key);
  if (found == object.end()) row.refuse(owner + " has no \"" + key + "\"");
  if (!found->is_string()) row.refuse("\"" + key + "\" of " + owner + " is " + kind_of(*found) + ", expected a text");
  return found->get<std::string>();
}

// A text member of the row itself, which is then no tag.
std::string take_text(Row& row, const std::string& key) {
  row.used.insert(key);
  return text_member(row.value, key, "the row", row);
}

// ShareGPT's and our own names for the three speakers.
std::string role_from(const std::string& name, const Row& row) {
  if (name == "system" || name == "user" || name == "assistant") return name;
  if (name == "human") return "user";
  if (name == "gpt") return "assistant";
  row.refuse("the role is " + in_quotes(name) +
             ", expected \"system\", \"user\" or \"assistant\" (or ShareGPT's \"human\", \"gpt\")");
}

// A list of {role_key, content_key} objects.
Conversation conversation_from(const Json& list, const std::string& key, const char* role_key, const char* content_key,
                               const Row& row) {
  if (!list.is_array()) row.refuse("\"" + key + "\" is " + kind_of(list) + ", expected a list of messages");
  if (list.empty()) row.refuse("\"" + key + "\" is empty, expected at least one message");
  Conversation conversation;
  for (const Json& message : list) {
    const std::string owner = "message " + std::to_string(conversation.size() + 1);
    if (!message.is_object()) row.refuse(owner + " is " + kind_of(message) + ", expected an object with a role and a content");
    const std::string role = role_from(text_member(message, role_key, owner, row), row);
    conversation.push_back({role, text_member(message, content_key, owner, row)});
  }
  return conversation;
}

// One side of a prompt/completion row: a text of the given role, or a list of messages.
Conversation side_from(Row& row, const std::string& key, const std::string& role) {
  row.used.insert(key);
  const Json& side = row.value.at(key);
  if (side.is_string()) return {{role, side.get<std::string>()}};
  if (!side.is_array()) row.refuse("\"" + key + "\" is " + kind_of(side) + ", expected a text or a list of messages");
  return conversation_from(side, key, "role", "content", row);
}

Conversation from_prompt(Row& row) {
  Conversation messages = side_from(row, "prompt", "user");
  if (row.has("completion")) {
    const Conversation completion = side_from(row, "completion", "assistant");
    messages.insert(messages.end(), completion.begin(), completion.end());
  }
  return messages;
}

// Alpaca and Dolly: the second and third key have different names.
Conversation from_instruction(Row& row) {
  std::string question = take_text(row, "instruction");
  for (const char* key : {"input", "context"}) {
    if (!row.has(key)) continue;
    const std::string input = take_text(row, key);
    if (!input.empty()) question += "\n\n" + input;
  }
  Conversation messages = {{"user", question}};
  const char* answer = row.has("output") ? "output" : "response";
  if (row.has(answer)) messages.push_back({"assistant", take_text(row, answer)});
  return messages;
}

bool is_list_of_texts(const Json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_string(); });
}

Conversation messages_of(Row& row) {
  if (row.value.is_array()) return conversation_from(row.value, "messages", "role", "content", row);
  if (!row.value.is_object()) row.refuse("the row is " + kind_of(row.value) + ", expected an object or a list of messages");
  if (row.has("messages")) return conversation_from(row.value.at("messages"), "messages", "role", "content", row);
  if (row.has("conversations")) {
    return conversation_from(row.value.at("conversations"), "conversations", "from", "value", row);
  }
  if (row.has("prompt")) return from_prompt(row);
  if (row.has("instruction")) return from_instruction(row);
  std::string found;
  for (const auto& [key, value] : row.value.items()) found += (found.empty() ? "" : ", ") + in_quotes(key);
  row.refuse(
      "the row's keys are " + (found.empty() ? "none" : found) +
      ", expected \"messages\", \"conversations\", \"prompt\" with \"completion\", or \"instruction\" with \"output\" or "
      "\"response\"");
}

}  // namespace

Example example_from_json(const Json& value, const std::string& place) {
  Row row{value, place};
  Example example{messages_of(row), {}};
  if (!value.is_object()) return example;
  for (const auto& [key, member] : value.items()) {
    if (row.used.count(key) > 0) continue;
    if (member.is_string()) example.tags[key] = member.get<std::string>();
    if (member.is_boolean() || member.is_number() || is_list_of_texts(member)) example.tags[key] = member.dump();
  }
  return example;
}

Dataset read_dataset(const std::filesystem::path& path) {
  Dataset dataset;
  const auto add = [&](const Json& row, std::int64_t number) {
    dataset.push_back(example_from_json(row, path.string() + ":" + std::to_string(number)));
  };
  if (path.extension() == ".json") {
    const Json rows = parse_json(read_file(path), path.string());
    if (!rows.is_array()) throw Error(path.string() + " holds " + kind_of(rows) + ", expected a list of rows");
    std::int64_t number = 0;
    for (const Json& row : rows) add(row, ++number);
  } else {
    read_jsonl(path, add);
  }
  return dataset;
}

Json example_to_json(const Example& example) {
  Json row = Json::object();
  for (const auto& [key, value] : example.tags) row[key] = value;
  row["messages"] = Json::array();
  for (const auto& message : example.messages) {
    row["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  return row;
}

}  // namespace holdfast
