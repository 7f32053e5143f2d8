#include "service/chat.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "data/conversation.h"
#include "learn/training_options.h"
#include "service/chat_server.h"
#include "service/waiting_line.h"
#include "work/kept_stages.h"
#include "work/network_need.h"

namespace holdfast {
namespace {

// What one forward can serve: questions to models that lie on the same weights; where serve stages run, to one model, so that
// what a stage does to its process is nobody else's loss.
std::string of_one_forward(const StageRequest& served) {
  if (has_serve_stages(served)) return canonical(to_json(served));
  const WeightsRef& weights = served.weights.at("weights");
  return canonical({weights.source, weights.base, weights.device, weights.dtype});
}

}  // namespace

struct ChatPool::State {
  State(const WorkerSetup& setup, std::int64_t count, double timeout) : line(static_cast<std::size_t>(count), timeout) {
    for (std::size_t number = 0; number < static_cast<std::size_t>(count); ++number) {
      servers.emplace_back(setup, number, timeout, line);
    }
    for (auto& server : servers) threads.emplace_back([&server] { server.run(); });
  }
  ~State() {
    line.close();
    for (auto& thread : threads) thread.join();
    std::unique_lock lock(mutex);
    left.wait(lock, [this] { return asking == 0; });
  }

  Question question(std::string kind, Json content, const StageRequest& stage) {
    Question made = std::make_shared<WaitingQuestion>();
    made->id = content["id"] = ++last_id;
    made->kind = std::move(kind);
    made->content = std::move(content);
    made->network = needs_network(stage);
    const auto weights = stage.weights.find("weights");
    if (weights != stage.weights.end()) made->weights = weights->second.digest();
    return made;
  }

  // Waits, and passes on what comes. One that waits still when it is cancelled has no answer.
  std::optional<Json> answer(const Question& question, const std::function<bool(const std::string&)>& on_text) {
    const Present present(*this);
    line.add(question);
    bool listens = static_cast<bool>(on_text);
    while (true) {
      auto [text, answer] = line.news(question);
      if (listens && !(answer && text.empty())) {
        try {
          listens = on_text(text);
        } catch (...) {
          line.cancel(question);
          throw;
        }
        if (!listens && !line.cancel(question)) return std::nullopt;
      }
      if (answer) return answer;
    }
  }

  // An asker, until he is gone.
  class Present {
   public:
    explicit Present(State& state) : state_(state) {
      const std::lock_guard lock(state_.mutex);
      ++state_.asking;
    }
    ~Present() {
      const std::lock_guard lock(state_.mutex);
      --state_.asking;
      state_.left.notify_all();
    }
    Present(const Present&) = delete;
    Present& operator=(const Present&) = delete;

   private:
    State& state_;
  };

  WaitingLine line;
  std::deque<ChatServer> servers;
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> last_id = 0;
  std::mutex mutex;
  std::condition_variable left;
  std::int64_t asking = 0;
};

ChatPool::ChatPool(WorkerSetup setup, std::int64_t count, double timeout)
    : state_(std::make_unique<State>(setup, count, timeout)) {}

ChatPool::~ChatPool() = default;

ChatAnswer ChatPool::ask(const ChatQuestion& question, const std::function<bool(const std::string&)>& on_text) {
  const Question asked = state_->question("chat",
                                          {{"served", to_json(question.served)},
                                           {"messages", to_json(question.messages)},
                                           {"options", to_json(question.options)},
                                           {"seed", question.options.seed},
                                           {"streams", static_cast<bool>(on_text)}},
                                          question.served);
  asked->together = of_one_forward(question.served);
  const auto answer = state_->answer(asked, on_text);
  if (!answer) return {};
  return {answer->at("text").get<std::string>(), answer->at("cut").get<bool>(), answer->at("prompt_tokens").get<std::int64_t>(),
          answer->at("completion_tokens").get<std::int64_t>()};
}

std::vector<bool> ChatPool::flagged(const StageRequest& moderator, const std::vector<std::string>& texts) {
  const Question asked = state_->question("moderate", {{"stage", to_json(moderator)}, {"texts", texts}}, moderator);
  return state_->answer(asked, {})->at("flagged").get<std::vector<bool>>();
}

std::vector<std::int64_t> ChatPool::tokens(const StageRequest& served, const std::vector<Conversation>& rows,
                                           std::int64_t max_length) {
  Json conversations = Json::array();
  for (const auto& row : rows) conversations.push_back(to_json(row));
  const Question asked = state_->question(
      "count", {{"served", to_json(served)}, {"rows", std::move(conversations)}, {"max_length", max_length}}, served);
  return state_->answer(asked, {})->at("tokens").get<std::vector<std::int64_t>>();
}

}  // namespace holdfast
