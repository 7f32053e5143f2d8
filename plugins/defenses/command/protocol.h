// The lines that a program gets and gives, as README.md says.
#pragma once

#include <holdfast/dataset.h>
#include <holdfast/json.h>

#include <optional>

namespace command {

inline constexpr int kProtocol = 1;

/// What each line may be answered with, for messages.
inline constexpr const char* kScreenAnswers =
    R"({"keep": true}, {"keep": false} or {"messages": [...]}, and beside it "add": [[...], ...] where rows are to be added)";
inline constexpr const char* kBeforeAnswers = R"({}, {"prompt": [...]} or {"reply": "..."})";
inline constexpr const char* kAfterAnswers = R"({} or {"reply": "..."})";

/// Turns as [{"role", "content"}, ...]; one that is context and not learned has "weight": 0 as well.
holdfast::JsonTree tree_of(const holdfast::Conversation& conversation);

struct ScreenAnswer {
  bool keep = true;
  std::optional<holdfast::Conversation> messages = {};  // in place of the row's
  std::vector<holdfast::Conversation> add = {};         // rows behind it
};
struct ServeAnswer {
  std::optional<std::string> reply = {};
  std::optional<holdfast::Conversation> prompt = {};
};

// Throw holdfast::Error that says what is wrong with the line.
ScreenAnswer read_screen_answer(const std::string& line);
ServeAnswer read_before_answer(const std::string& line);
ServeAnswer read_after_answer(const std::string& line);

}  // namespace command
