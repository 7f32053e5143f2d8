// Questions that wait for a process, and what their askers hear of them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "service/chat.h"

namespace holdfast {

struct WaitingQuestion {
  std::string kind;      // as the worker knows it: "chat", "moderate", "count" (work/chat.h)
  Json content;          // with its "id"
  std::string together;  // those with the same are answered in one forward; empty: each by itself
  std::string weights;   // the digest of those that it asks
  bool network = false;  // its process needs it
  std::uint64_t id = 0;

 private:
  friend class WaitingLine;
  using Clock = std::chrono::steady_clock;

  Clock::time_point since;  // it waits
  bool given = false, alone = false, cancelled = false, told = false, ended = false;
  std::string text;  // that its asker has not heard yet
  Json answer;
  std::optional<ChatRefused> refused;
  std::condition_variable changed;
};
using Question = std::shared_ptr<WaitingQuestion>;

/// First come, first served by whoever is free; who has the weights in memory comes before others. For any thread.
class WaitingLine {
 public:
  WaitingLine(std::size_t servers, double patience);

  // Of askers.
  void add(const Question& question);
  struct News {
    std::string text;  // what came of the reply since
    std::optional<Json> answer;
  };
  /// Returns when there is any, or after a second. Throws ChatRefused, also when nobody took the question up within the
  /// patience (seconds).
  News news(const Question& question);
  /// Nobody wants it any more. False where it waits still, and is waited for no longer.
  bool cancel(const Question& question);

  // Of those who answer.
  /// What a server, from 0, is given next, together; it is free until then. Empty once the line is closed.
  std::vector<Question> next(std::size_t server, const std::set<std::string>& warm, bool running);
  void tell(const Question& question, const std::string& text);
  void end(const Question& question, Json answer);
  void refuse(const Question& question, ChatRefused why);
  /// Has it wait once more, to be answered by itself. False where its asker has heard a part of its answer, or it was by itself
  /// already.
  bool again(const Question& question);
  bool is_cancelled(const Question& question) const;

  /// Refuses all that wait, and whatever is added.
  void close();
  bool is_closed() const;

 private:
  struct Server {
    bool free = false, running = false;
    std::set<std::string> warm;
    std::vector<Question> given;
    std::condition_variable called;
  };

  void assign();
  Server* best_for(const WaitingQuestion& question);
  std::vector<Question> take_front();
  static void refuse_now(WaitingQuestion& question, ChatRefused why);

  const double patience_;
  mutable std::mutex mutex_;
  std::deque<Question> waiting_;
  std::deque<Server> servers_;
  bool closed_ = false;
};

}  // namespace holdfast
