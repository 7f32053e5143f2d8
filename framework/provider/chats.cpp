#include "provider/chats.h"

#include <holdfast/error.h>

#include <algorithm>
#include <exception>
#include <map>
#include <optional>

#include "base/digest.h"
#include "base/stop_point.h"
#include "data/conversation.h"
#include "judge/endpoint.h"
#include "judge/recording.h"
#include "provider/dialect.h"
#include "provider/prices.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kLargestSeed = 0x7FFFFFFF;  // that every service takes

// A request, and where its answer goes.
struct Chat {
  Json body;
  std::string request;  // as a recording knows it
  double most = 0;      // that it costs
  std::vector<std::size_t> places;
};

class Chats {
 public:
  Chats(const ProviderSettings& settings, const std::string& model, const GenerateOptions& options, SpendLedger& ledger,
        ChatsCost& asked, const std::function<void(std::size_t)>& told)
      : settings_(settings), model_(model), options_(options), ledger_(ledger), asked_(asked), told_(told) {
    if (!settings.recording.empty()) recording_.emplace(settings.recording);
  }

  std::vector<Answer> answers(const std::vector<Conversation>& prompts) {
    made_.resize(prompts.size());
    std::vector<Chat> missing;
    for (auto& chat : distinct(prompts)) {
      const auto known = recording_ ? recording_->find(chat.request) : std::nullopt;
      known ? take(chat, *known) : missing.push_back(std::move(chat));
    }
    if (settings_.replay && !missing.empty()) {
      throw Error("the recording " + settings_.recording + " lacks " + std::to_string(missing.size()) +
                  " replies of the model " + in_quotes(model_) +
                  ": run once with replay = false to add them, or bring the recording that was made with these probes, "
                  "max_new_tokens, temperature and top_p");
    }
    const auto size = static_cast<std::size_t>(std::max(options_.batch_size, settings_.concurrency));
    for (std::size_t begin = 0; begin < missing.size(); begin += size) {
      stop_point();
      const std::size_t end = std::min(begin + size, missing.size());
      ask({missing.begin() + static_cast<std::ptrdiff_t>(begin), missing.begin() + static_cast<std::ptrdiff_t>(end)});
    }
    return std::move(made_);
  }

 private:
  std::vector<Chat> distinct(const std::vector<Conversation>& prompts) const {
    std::vector<Chat> chats;
    std::map<std::string, std::size_t> known;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const Json body = body_of(prompts[i]);
      const std::string request = sha256(canonical({{"url", settings_.url}, {"body", body}}));
      const auto [place, fresh] = known.emplace(request, chats.size());
      if (fresh) chats.push_back({body, request, most_of_chat(settings_, prompts[i], options_.max_new_tokens), {}});
      chats[place->second].places.push_back(i);
    }
    return chats;
  }

  Json body_of(const Conversation& prompt) const {
    Json body = {{"model", model_},
                 {"messages", to_json(prompt)},
                 {"max_tokens", options_.max_new_tokens},
                 {"temperature", options_.temperature}};
    if (options_.top_p < 1) body["top_p"] = options_.top_p;
    if (options_.temperature > 0) body[dialect(settings_.dialect).chat_seed] = options_.seed & kLargestSeed;
    return body;
  }

  void ask(const std::vector<Chat>& batch) {
    double most = 0;
    std::vector<Json> bodies;
    for (const auto& chat : batch) {
      most += chat.most;
      bodies.push_back(chat.body);
    }
    const std::string reserved = ledger_.reserve(most, std::to_string(batch.size()) + " chats");
    const double before = asked_.price;
    const Endpoint endpoint{settings_.url,     key_of(settings_), settings_.timeout,
                            settings_.retries, settings_.backoff, settings_.concurrency};
    const std::string& path = dialect(settings_.dialect).chat_path;
    std::exception_ptr failure;
    try {
      ask_service(endpoint, {path.c_str(), read_completion}, bodies, [&](std::size_t i, const Answer& answer) {
        take(batch[i], recording_ ? recording_->add(batch[i].request, model_, answer) : answer);
      });
    } catch (...) {
      failure = std::current_exception();
    }
    ledger_.settle(reserved, asked_.price - before);  // what is not answered is not billed
    if (failure) std::rethrow_exception(failure);
  }

  void take(const Chat& chat, const Answer& answer) {
    for (const auto place : chat.places) made_[place] = answer;
    asked_.tokens += counted(answer.usage, "completion_tokens").value_or(0);
    asked_.price += price_of_chat(settings_, answer.usage, chat.most);
    told_(++done_);
  }

  const ProviderSettings& settings_;
  const std::string& model_;
  const GenerateOptions& options_;
  SpendLedger& ledger_;
  ChatsCost& asked_;
  const std::function<void(std::size_t)>& told_;
  std::optional<Recording> recording_;
  std::vector<Answer> made_;
  std::size_t done_ = 0;
};

}  // namespace

std::vector<Answer> ask_provider(const ProviderSettings& settings, const std::string& model,
                                 const std::vector<Conversation>& prompts, const GenerateOptions& options, SpendLedger& ledger,
                                 ChatsCost& asked, const std::function<void(std::size_t)>& told) {
  return Chats(settings, model, options, ledger, asked, told).answers(prompts);
}

}  // namespace holdfast
