#include "service/chat_server.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/option.h"
#include "store/store.h"

namespace holdfast {
namespace {

constexpr int kPollMilliseconds = 50;

}  // namespace

ChatServer::ChatServer(WorkerSetup setup, std::size_t number, double timeout, WaitingLine& line)
    : setup_(std::move(setup)), number_(number), timeout_(timeout), line_(line) {
  setup_.number += number;
  setup_.own_output = false;
}

void ChatServer::run() {
  while (true) {
    const auto questions = line_.next(number_, warm_, process_ != nullptr);
    if (questions.empty()) break;
    try {
      answer(questions);
    } catch (const std::exception& error) {  // it cannot be started, or what it says is none of our lines
      end_process();
      fail_open({ChatFault::kProcess, error.what()}, false);
    }
  }
  end_process();
}

void ChatServer::answer(const std::vector<Question>& questions) {
  open_.clear();
  cancelled_.clear();
  several_ = questions.size() > 1;
  for (const auto& each : questions) open_.emplace(each->id, each);
  give(questions);
  while (!open_.empty()) {
    if (line_.is_closed()) {
      end_process();
      fail_open({ChatFault::kProcess, "the service is ending: ask again when it is back"}, false);
    } else if (Clock::now() > deadline_) {
      end_process();
      fail_open({ChatFault::kTimeout, "there was no answer within " + shown(timeout_) + " s: ask for fewer tokens, or later"},
                false);
    } else {
      pass_cancels();
      listen();
    }
  }
  if (broken_) end_process();
}

void ChatServer::give(const std::vector<Question>& questions) {
  const bool network = setup_.limits.network || std::any_of(questions.begin(), questions.end(),
                                                            [](const Question& question) { return question->network; });
  if (process_ && (network_ != network || died_idle())) end_process();
  if (!process_) {
    WorkerSetup setup = setup_;
    setup.limits.network = network_ = network;
    process_ = std::make_unique<WorkerProcess>(setup);
  }
  output_.begin();
  deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_));
  const WaitingQuestion& first = *questions.front();
  Json content = first.content;
  if (first.kind == "chat") {
    content = Json::array();
    for (const auto& each : questions) content.push_back(each->content);
  }
  process_->send({{first.kind, std::move(content)}});  // one that died meanwhile shows in its answers
}

// One that was killed while it had nothing to do costs nobody a question.
bool ChatServer::died_idle() {
  pollfd watched{process_->answers(), POLLIN, 0};
  if (::poll(&watched, 1, 0) > 0) process_->receive();  // else it has nothing to say
  return process_->ended();
}

void ChatServer::pass_cancels() {
  for (const auto& [id, question] : open_) {
    if (line_.is_cancelled(question) && cancelled_.insert(id).second) process_->send({{"cancel", id}});
  }
}

void ChatServer::listen() {
  pollfd watched[] = {{process_->answers(), POLLIN, 0}, {process_->output(), POLLIN, 0}};  // one below 0 is passed over
  if (::poll(watched, 2, kPollMilliseconds) <= 0) return;
  if (watched[1].revents != 0) output_.pass_on(*process_);
  if (watched[0].revents != 0) take_lines();
}

void ChatServer::take_lines() {
  auto line = process_->receive();
  if (!line && process_->ended()) return take_death();
  for (; line; line = process_->next_received()) take(*line);
}

void ChatServer::take(const Json& line) {
  const auto found = line.contains("id") ? open_.find(line.at("id").get<std::uint64_t>()) : open_.end();
  if (found == open_.end()) return;  // how far it is
  const Question question = found->second;
  if (!line.contains("status")) return line_.tell(question, line.at("text").get<std::string>());
  open_.erase(found);
  warm_ = line.at("warm").get<std::set<std::string>>();
  const auto status = line.at("status").get<std::string>();
  if (status == "ok") return line_.end(question, line);
  const bool broken = line.value("broken", false) || status == "stopped";
  broken_ = broken_ || broken;
  const std::string sentence = line.value("message", "the process was asked to stop");
  const ChatFault fault = broken || status == "corrupt"         ? ChatFault::kProcess
                          : line.value("code", "") == "context" ? ChatFault::kContext
                                                                : ChatFault::kQuestion;
  fail(question, {fault, sentence}, broken);
}

void ChatServer::take_death() {
  const std::string how = process_->death();
  output_.pass_on(*process_);
  end_process();
  fail_open({ChatFault::kProcess, "the process that was to answer " + how + ": ask again"}, true);
}

void ChatServer::fail_open(const ChatRefused& why, bool again) {
  for (const auto& [id, question] : std::exchange(open_, {})) fail(question, why, again);
}

// Of several only one is at fault, and by itself it is known which.
void ChatServer::fail(const Question& question, const ChatRefused& why, bool again) {
  if (again && several_ && line_.again(question)) return;
  line_.refuse(question, why);
}

void ChatServer::end_process() {
  if (process_) {
    process_.reset();
    remove_abandoned(setup_.store);
  }
  warm_.clear();
  broken_ = false;
}

}  // namespace holdfast
