// Customers' questions to served models, answered by processes that keep weights in memory.
#pragma once

#include <holdfast/error.h>
#include <holdfast/model.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/worker_process.h"
#include "work/stage_request.h"

namespace holdfast {

struct ChatQuestion {
  StageRequest served;  // TuningRunner::served
  Conversation messages;
  GenerateOptions options;  // max_new_tokens: at most so many; fewer where the context window ends before
};

struct ChatAnswer {
  std::string text;
  bool cut = false;  // max_new_tokens or the context window ended it
  /// Of the messages as they were sent, with what asks for the reply; and those that the model generated for it, without a stop
  /// token: none where a serve stage answered.
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
};

enum class ChatFault {
  kQuestion,  // it cannot be answered as it is: the chat template refuses it, an option is not allowed, a plugin says why
  kContext,   // it does not fit the model's context window
  kBusy,      // nobody came to take it up in time
  kTimeout,   // it took too long, and its process was stopped
  kProcess    // its process died or may be broken; another one is there
};

/// Why a question has no answer.
class ChatRefused final : public Error {
 public:
  ChatRefused(ChatFault fault, const std::string& sentence) : Error(sentence), fault(fault) {}
  ChatFault fault;
};

/// Asks served models through their serve stages, in processes that plugins may bring down: whoever asked is then told.
/// Questions that wait for a process at the same time are given to it together, where one forward serves all, and get the
/// replies that they get alone. For any thread, until it is destroyed. SIGPIPE must be ignored.
class ChatPool {
 public:
  /// `count` processes, each started when there is a question for it. `timeout`: seconds that a question may take in its
  /// process, and that it may wait for one.
  ChatPool(WorkerSetup setup, std::int64_t count, double timeout);
  ~ChatPool();
  ChatPool(const ChatPool&) = delete;
  ChatPool& operator=(const ChatPool&) = delete;

  /// Waits for the answer. `on_text` gets the reply piece by piece while it is generated, on the caller's thread, in whole
  /// characters that together are the answer's text; where a serve stage has to see the whole reply it gets it in one. It is
  /// also called with an empty text, about once a second while nothing comes. It says false to end the question: the answer is
  /// then what was there of it. Throws ChatRefused with one sentence where the question cannot be answered.
  ChatAnswer ask(const ChatQuestion& question, const std::function<bool(const std::string&)>& on_text = {});
  /// Whether a moderator's screen stage takes each text, as a row's user turn, out or changes it.
  std::vector<bool> flagged(const StageRequest& moderator, const std::vector<std::string>& texts);
  /// Tokens of each conversation as that model's training reads it, at most max_length each (0: all).
  std::vector<std::int64_t> tokens(const StageRequest& served, const std::vector<Conversation>& rows, std::int64_t max_length);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
