// Who answers questions of a line: a thread and its worker process.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/worker_process.h"
#include "run/passed_output.h"
#include "service/waiting_line.h"

namespace holdfast {

class ChatServer {
 public:
  /// The `number`-th of the line's servers, from 0. `timeout`: seconds for what its process is given at a time.
  ChatServer(WorkerSetup setup, std::size_t number, double timeout, WaitingLine& line);

  /// Answers until the line is closed. By one thread alone: a process ends with the thread that started it.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  void answer(const std::vector<Question>& questions);
  void give(const std::vector<Question>& questions);
  bool died_idle();
  void listen();
  void take_lines();
  void take(const Json& line);
  void pass_cancels();
  void take_death();
  void fail_open(const ChatRefused& why, bool again);
  void fail(const Question& question, const ChatRefused& why, bool again);
  void end_process();

  WorkerSetup setup_;
  const std::size_t number_;
  const double timeout_;
  WaitingLine& line_;
  std::unique_ptr<WorkerProcess> process_;
  bool network_ = false;  // the process has it
  bool broken_ = false;   // nobody knows its state
  std::set<std::string> warm_;
  PassedOutput output_;
  Clock::time_point deadline_;
  std::map<std::uint64_t, Question> open_;  // without an answer yet
  std::set<std::uint64_t> cancelled_;       // of which the process knows
  bool several_ = false;                    // were given together
};

}  // namespace holdfast
