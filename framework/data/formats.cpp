#include "data/formats.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "data/row_file.h"
#include "data/row_keys.h"

namespace holdfast {
namespace {

// A row or a message that is being read: its value, how messages call it, and which of its keys have been read.
struct Row {
  const Json& value;
  const std::string& place;
  std::set<std::string> used = {};

  [[noreturn]] void refuse(const std::string& sentence) const { throw Error(place + ": " + sentence); }
  // null says nothing, as tables of mixed rows write it.
  bool has(const std::string& key) const { return value.contains(key) && !value.at(key).is_null(); }
  const Json& take(const std::string& key) {
    used.insert(key);
    return value.at(key);
  }
};

std::string kind_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a flag";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a text";
  return value.is_array() ? "a list" : "an object";
}

bool says_nothing(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

// Where a key that is not read is usually met, and what then to do.
std::string remedy(const std::string& key, bool of_row) {
  static const std::set<std::string> kPairs = {"chosen", "rejected", "response_0", "response_1", "message_1", "message_2"};
  static const std::set<std::string> kTools = {"tools",        "functions", "tool_calls", "function_call",
                                               "tool_call_id", "audio",     "images"};
  static const std::set<std::string> kThoughts = {"reasoning_content", "reasoning", "thinking", "thought"};
  if (kPairs.contains(key)) return "of two replies only one can be learned: bring it as \"response\" and leave the other out";
  if (kTools.contains(key)) return "tools and other media are not supported: leave such rows out, or write them as text";
  if (kThoughts.contains(key)) {
    return "write the reasoning into the reply as the chat template has it (<think>...</think>), or leave it out";
  }
  if (key == "label") return "a reply that is not wanted cannot be learned against: leave such rows out, and the key with them";
  if (!of_row) return "remove it when it is not wanted; docs/scenario.md lists the keys that are read";
  return "move it into an object \"tags\" when it only describes the row (in CSV: name its column \"tags." + key +
         "\"), remove it when it is not wanted; docs/scenario.md lists the keys that are read";
}

[[noreturn]] void refuse_key(const Row& row, const std::string& owner, const std::string& key) {
  row.refuse(owner + " has the key " + in_quotes(key) +
             ", which is not read here and could change what is learned: " + remedy(key, owner == "the row"));
}

std::string text_of(const Json& value, const std::string& key, const std::string& owner, const Row& row) {
  if (!value.is_string()) row.refuse("\"" + key + "\" of " + owner + " is " + kind_of(value) + ", expected a text");
  return value.get<std::string>();
}

std::string take_text(Row& row, const std::string& key) { return text_of(row.take(key), key, "the row", row); }

// Which of the keys the row has; empty for none. Two of them would leave one unread.
std::string only_one_of(const std::vector<std::string>& keys, const Row& row) {
  std::string found;
  for (const auto& key : keys) {
    if (!row.has(key)) continue;
    if (!found.empty()) row.refuse("the row has both \"" + found + "\" and \"" + key + "\", expected one of them");
    found = key;
  }
  return found;
}

std::string role_from(std::string name, const Row& row) {
  const std::string given = name;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "system" || name == "developer") return "system";
  if (name == "user" || name == "human" || name == "prompter") return "user";
  if (name == "assistant" || name == "gpt" || name == "model" || name == "bot" || name == "chatgpt") return "assistant";
  row.refuse(
      "the role is " + in_quotes(given) +
      ", expected \"system\", \"user\" or \"assistant\" (also \"developer\", \"human\", \"prompter\", \"gpt\", \"model\", "
      "\"bot\"): turns of tools are not supported, leave such rows out");
}

// OpenAI's list of parts; only texts can be told to a language model.
std::string joined_parts(const Json& parts, const std::string& owner, const Row& row) {
  std::string text;
  std::size_t number = 0;
  for (const Json& part : parts) {
    const std::string name = "part " + std::to_string(++number) + " of the content of " + owner;
    if (!part.is_object()) row.refuse(name + " is " + kind_of(part) + ", expected {\"type\": \"text\", \"text\": ...}");
    const Json type = part.value("type", Json());
    if (type != "text" || !part.contains("text")) {
      row.refuse(name + " is of type " + (type.is_string() ? in_quotes(type.get<std::string>()) : kind_of(type)) +
                 ", expected {\"type\": \"text\", \"text\": ...}: only texts are supported");
    }
    for (const auto& [key, member] : part.items()) {
      const bool known = key == "type" || key == "text" || key == "cache_control" || says_nothing(member);
      if (!known) refuse_key(row, name, key);
    }
    text += text_of(part.at("text"), "text", name, row);
  }
  return text;
}

std::string content_from(const Json& content, const std::string& key, const std::string& owner, const Row& row) {
  if (content.is_array() && !content.empty()) return joined_parts(content, owner, row);
  return text_of(content, key, owner, row);
}

// OpenAI's and Mistral's "weight", axolotl's "train": whether a turn is learned or context only.
bool learned_from(const std::string& key, const Json& mark, const std::string& owner, const Row& row) {
  const bool flag = mark.is_boolean(), number = mark == 0 || mark == 1;
  if (!flag && !number) {
    row.refuse("\"" + key + "\" of " + owner + " is " + in_quotes(mark.dump()) +
               ", expected 1 or true (learned) or 0 or false (context only): other weights are not supported");
  }
  return flag ? mark.get<bool>() : mark == 1;
}

// The bytes at the beginning of a reply that are context only.
std::size_t learn_from_of(const Json& value, const std::string& content, const std::string& owner, const Row& row) {
  if (!value.is_number_unsigned() || value.get<std::size_t>() > content.size()) {
    row.refuse("\"learn_from\" of " + owner + " is " + in_quotes(value.dump()) + ", expected a number of bytes from 0 to the " +
               std::to_string(content.size()) + " of its content");
  }
  return value.get<std::size_t>();
}

Message message_from(const Json& value, const std::string& owner, const Row& row) {
  if (!value.is_object()) row.refuse(owner + " is " + kind_of(value) + ", expected an object with a role and a content");
  const auto one_of = [&](const char* ours, const char* theirs) {
    if (value.contains(ours)) return ours;
    if (!value.contains(theirs)) row.refuse(owner + " has no \"" + ours + "\" (nor ShareGPT's \"" + theirs + "\")");
    return theirs;
  };
  const std::string role_key = one_of("role", "from"), content_key = one_of("content", "value");
  Message message{role_from(text_of(value.at(role_key), role_key, owner, row), row), ""};
  bool marked = false, learned = true;
  for (const auto& [key, member] : value.items()) {
    if (key == role_key || key == content_key || says_nothing(member) || is_message_tag_key(key)) continue;
    if (key == "learn_from") continue;
    if (key != "weight" && key != "train" && key != "training") refuse_key(row, owner, key);
    marked = true;
    learned = learned && learned_from(key, member, owner, row);
  }
  if (message.role == "assistant") message.learned = learned;
  if (message.role != "assistant" && marked && learned) {
    row.refuse(owner + " is to be learned and its role is \"" + message.role + "\": only an assistant's turns are learned");
  }
  message.content = content_from(value.at(content_key), content_key, owner, row);
  if (value.contains("learn_from") && !says_nothing(value.at("learn_from"))) {
    message.learn_from = learn_from_of(value.at("learn_from"), message.content, owner, row);
    if (message.learn_from > 0 && message.role != "assistant") {
      row.refuse(owner + " has \"learn_from\" and its role is \"" + message.role + "\": only an assistant's turns are learned");
    }
  }
  return message;
}

bool is_list_of_texts(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_string(); });
}

// A list of messages, or LIMA's list of texts, whose speakers take turns.
Conversation conversation_from(const Json& list, const std::string& key, const Row& row) {
  if (!list.is_array()) row.refuse("\"" + key + "\" is " + kind_of(list) + ", expected a list of messages");
  if (list.empty()) row.refuse("\"" + key + "\" is empty, expected at least one message");
  Conversation conversation;
  const bool texts = is_list_of_texts(list);
  for (const Json& item : list) {
    const std::string number = std::to_string(conversation.size() + 1);
    if (texts) {
      conversation.push_back({conversation.size() % 2 == 0 ? "user" : "assistant", item.get<std::string>()});
    } else {
      conversation.push_back(message_from(item, "message " + number, row));
    }
  }
  return conversation;
}

// One side of a row: a text of the given role, or a list of messages.
Conversation side_from(Row& row, const std::string& key, const std::string& role) {
  const Json& side = row.take(key);
  if (side.is_string()) return {{role, side.get<std::string>()}};
  if (!side.is_array()) row.refuse("\"" + key + "\" is " + kind_of(side) + ", expected a text or a list of messages");
  return conversation_from(side, key, row);
}

// Alpaca's and Dolly's material, below the instruction after an empty line.
void add_input(Conversation& question, Row& row) {
  for (const char* key : {"input", "context"}) {
    if (!row.has(key)) continue;
    const std::string input = take_text(row, key);
    if (!input.empty()) question.back().content += "\n\n" + input;
  }
}

// LLaMA-Factory's earlier rounds: a list of [question, reply].
Conversation history_from(Row& row) {
  Conversation rounds;
  const Json& history = row.take("history");
  if (!history.is_array()) row.refuse("\"history\" is " + kind_of(history) + ", expected a list of [question, reply]");
  for (const Json& round : history) {
    if (!is_list_of_texts(round) || round.size() != 2) {
      row.refuse("round " + std::to_string(rounds.size() / 2 + 1) +
                 " of \"history\" is no pair of texts, expected [question, reply]");
    }
    rounds.push_back({"user", round[0].get<std::string>()});
    rounds.push_back({"assistant", round[1].get<std::string>()});
  }
  return rounds;
}

void add_system(Conversation& messages, Row& row) {
  const std::string key = only_one_of(kSystemKeys, row);
  if (key.empty()) return;
  const std::string system = take_text(row, key);
  if (system.empty()) return;
  if (!messages.empty() && messages.front().role == "system" && messages.front().content != system) {
    row.refuse("the row has \"" + key + "\" and its messages begin with another system message, expected one of them");
  }
  set_system(messages, system);
}

// JailbreakBench names each goal's behaviour in a word beside it.
std::string question_key(Row& row) {
  std::vector<std::string> keys = kQuestionKeys;
  if (row.has("Goal")) std::erase(keys, "Behavior");
  return only_one_of(keys, row);
}

// "answer" is what a utility task compares with where the row is one; elsewhere it is a reply like others.
std::string reply_key(const Row& row) {
  std::vector<std::string> keys = kReplyKeys;
  if (row.has("metric") || row.has("choices")) std::erase(keys, "answer");
  return only_one_of(keys, row);
}

void add_reply(Conversation& messages, Row& row) {
  const std::string key = reply_key(row);
  if (key.empty()) return;
  const Conversation reply = side_from(row, key, "assistant");
  messages.insert(messages.end(), reply.begin(), reply.end());
}

Conversation from_question(Row& row, const std::string& key) {
  Conversation messages = row.has("history") ? history_from(row) : Conversation();
  Conversation question = side_from(row, key, "user");
  if (key == "instruction" && question.back().role == "user") add_input(question, row);
  messages.insert(messages.end(), question.begin(), question.end());
  add_reply(messages, row);
  return messages;
}

// UltraChat and its kin repeat the first question beside the messages; a probe's "answer" may stand there too.
Conversation from_messages(Row& row, const std::string& key) {
  Conversation messages = conversation_from(row.take(key), key, row);
  const auto asked = std::find_if(messages.begin(), messages.end(), [](const Message& turn) { return turn.role == "user"; });
  if (row.has("prompt") && asked != messages.end() && row.value.at("prompt") == asked->content) row.used.insert("prompt");
  if (messages.back().role == "user") add_reply(messages, row);
  return messages;
}

Conversation messages_of(Row& row) {
  if (row.value.is_array()) return conversation_from(row.value, "messages", row);
  if (!row.value.is_object()) row.refuse("the row is " + kind_of(row.value) + ", expected an object or a list of messages");
  Conversation messages;
  if (const std::string key = only_one_of(kConversationKeys, row); !key.empty()) {
    messages = from_messages(row, key);
  } else if (const std::string asked = question_key(row); !asked.empty()) {
    messages = from_question(row, asked);
  } else {
    std::string found;
    for (const auto& [name, value] : row.value.items()) {
      found += (found.empty() ? "" : ", ") + in_quotes(name) + (value.is_null() ? " (null)" : "");
    }
    row.refuse("the row's keys are " + (found.empty() ? "none" : found) +
               ", expected \"messages\" or \"conversations\", or what is asked (\"prompt\", \"instruction\", \"question\", "
               "\"query\", \"goal\") with its reply (\"completion\", \"response\", \"output\", \"answer\", \"target\")");
  }
  add_system(messages, row);
  return messages;
}

std::string as_tag(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Alpaca as it is published repeats a row's texts in one, with a preamble.
bool repeats_the_row(const Json& text, const Row& row) {
  return text.is_string() && std::all_of(row.used.begin(), row.used.end(), [&](const std::string& key) {
           const Json& said = row.value.at(key);
           return said.is_string() && text.get_ref<const std::string&>().find(said.get<std::string>()) != std::string::npos;
         });
}

bool is_tag(const std::string& key, const Json& value, const Row& row) {
  if (key == "answer") return row.has("metric") || row.has("choices") || row.used.contains(key);
  if (key == "Behavior") return row.has("Goal");
  if (key == "adversarial") return value.is_boolean();  // of WildGuard; elsewhere it is a prompt
  if (key == "label") return !value.is_boolean();       // KTO's flag says whether a reply is wanted
  return is_tag_key(key) || key.starts_with("tags.");
}

std::map<std::string, std::string> tags_of(const Row& row) {
  constexpr std::size_t kPrefix = 5;  // of "tags."
  std::map<std::string, std::string> tags;
  const auto add = [&](const std::string& name, const Json& value) {
    if (!tags.emplace(name, as_tag(value)).second) row.refuse("the row has the tag " + in_quotes(name) + " twice");
  };
  for (const auto& [key, value] : row.value.items()) {
    if (value.is_null()) continue;
    if (key == "tags" && value.is_object()) {
      for (const auto& [name, tag] : value.items()) add(name, tag);
    } else if (is_tag(key, value, row)) {
      add(key.starts_with("tags.") ? key.substr(kPrefix) : key, value);
    } else if (!row.used.contains(key) && !says_nothing(value) && !(key == "text" && repeats_the_row(value, row))) {
      refuse_key(row, "the row", key);
    }
  }
  return tags;
}

}  // namespace

Example example_from_json(const Json& value, const std::string& place) {
  Row row{value, place};
  Example example{messages_of(row), {}, place};
  if (value.is_object()) example.tags = tags_of(row);
  return example;
}

Dataset read_dataset(const std::filesystem::path& path) {
  Dataset dataset;
  for (const auto& row : read_row_file(path)) dataset.push_back(example_from_json(row.value, row.place));
  if (dataset.empty()) throw Error(path.string() + " holds no rows, expected at least one");
  return dataset;
}

Json example_to_json(const Example& example) {
  Json row = {{"messages", Json::array()}};
  if (!example.tags.empty()) row["tags"] = example.tags;
  for (const auto& message : example.messages) {
    row["messages"].push_back({{"role", message.role}, {"content", message.content}});
    if (!message.learned) row["messages"].back()["weight"] = 0;
    if (message.learn_from > 0) row["messages"].back()["learn_from"] = message.learn_from;
  }
  return row;
}

}  // namespace holdfast
