#include "service/waiting_line.h"

#include <algorithm>
#include <utility>

#include "base/option.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostTogether = 32;
constexpr std::chrono::seconds kBetweenNews{1};

ChatRefused ending() { return {ChatFault::kProcess, "the service is ending: ask again when it is back"}; }

}  // namespace

WaitingLine::WaitingLine(std::size_t servers, double patience) : patience_(patience), servers_(servers) {}

void WaitingLine::add(const Question& question) {
  const std::lock_guard lock(mutex_);
  if (closed_) return refuse_now(*question, ending());
  question->since = std::chrono::steady_clock::now();
  waiting_.push_back(question);
  assign();
}

WaitingLine::News WaitingLine::news(const Question& question) {
  std::unique_lock lock(mutex_);
  question->changed.wait_for(lock, kBetweenNews, [&] { return question->ended || !question->text.empty(); });
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - question->since;
  if (!question->given && !question->ended && waited.count() > patience_) {
    std::erase(waiting_, question);
    throw ChatRefused(ChatFault::kBusy, "nobody came to answer within " + shown(patience_) +
                                            " s, since too many ask at the same time: ask again later");
  }
  if (question->refused) throw ChatRefused(*question->refused);
  News news{std::exchange(question->text, ""), std::nullopt};
  if (question->ended) news.answer = question->answer;
  return news;
}

bool WaitingLine::cancel(const Question& question) {
  const std::lock_guard lock(mutex_);
  question->cancelled = true;
  return question->given || std::erase(waiting_, question) == 0;
}

std::vector<Question> WaitingLine::next(std::size_t server, const std::set<std::string>& warm, bool running) {
  std::unique_lock lock(mutex_);
  Server& own = servers_[server];
  own.free = true;
  own.running = running;
  own.warm = warm;
  assign();
  own.called.wait(lock, [&] { return closed_ || !own.given.empty(); });
  own.free = false;
  return std::exchange(own.given, {});
}

void WaitingLine::assign() {
  while (!waiting_.empty()) {
    Server* server = best_for(*waiting_.front());
    if (server == nullptr) return;
    server->free = false;
    server->given = take_front();
    server->called.notify_one();
  }
}

WaitingLine::Server* WaitingLine::best_for(const WaitingQuestion& question) {
  const auto rank = [&](const Server& server) { return server.warm.contains(question.weights) ? 2 : server.running ? 1 : 0; };
  Server* best = nullptr;
  for (auto& server : servers_) {
    if (server.free && (best == nullptr || rank(server) > rank(*best))) best = &server;
  }
  return best;
}

std::vector<Question> WaitingLine::take_front() {
  std::vector<Question> taken = {waiting_.front()};
  waiting_.pop_front();
  const WaitingQuestion& first = *taken.front();
  if (!first.alone && !first.together.empty()) {
    std::erase_if(waiting_, [&](const Question& each) {
      const bool fits = !each->alone && each->together == first.together && taken.size() < kMostTogether;
      if (fits) taken.push_back(each);
      return fits;
    });
  }
  for (const auto& each : taken) each->given = true;
  return taken;
}

void WaitingLine::tell(const Question& question, const std::string& text) {
  const std::lock_guard lock(mutex_);
  question->told = true;
  question->text += text;
  question->changed.notify_all();
}

void WaitingLine::end(const Question& question, Json answer) {
  const std::lock_guard lock(mutex_);
  question->answer = std::move(answer);
  question->ended = true;
  question->changed.notify_all();
}

void WaitingLine::refuse_now(WaitingQuestion& question, ChatRefused why) {
  question.refused.emplace(std::move(why));
  question.ended = true;
  question.changed.notify_all();
}

void WaitingLine::refuse(const Question& question, ChatRefused why) {
  const std::lock_guard lock(mutex_);
  refuse_now(*question, std::move(why));
}

bool WaitingLine::again(const Question& question) {
  const std::lock_guard lock(mutex_);
  if (question->alone || question->told || question->cancelled || closed_) return false;
  question->alone = true;
  question->given = false;
  question->since = std::chrono::steady_clock::now();
  waiting_.push_front(question);
  assign();
  return true;
}

bool WaitingLine::is_cancelled(const Question& question) const {
  const std::lock_guard lock(mutex_);
  return question->cancelled;
}

void WaitingLine::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& each : std::exchange(waiting_, {})) refuse_now(*each, ending());
  for (auto& server : servers_) server.called.notify_all();
}

bool WaitingLine::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace holdfast
