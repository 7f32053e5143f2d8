// /v1/chat/completions
#include <memory>

#include "remote/limited_server.h"
#include "service/chat_errors.h"
#include "service/chat_request.h"
#include "service/ids.h"
#include "service/routes.h"

namespace holdfast {
namespace {

// One chat on its way: what is asked, whose it is, and how it is called.
struct Chat {
  ChatQuestion question;
  std::string id, model;
  std::int64_t created = 0;
  bool include_usage = false;
  std::string customer;
  std::shared_ptr<void> seat;
  std::shared_ptr<Reservation> reserved;  // where the customer has a limit
};

StageRequest served(Desk& desk, const Customer& customer, const std::string& model) {
  if (find_offer(desk.service, model) != nullptr) return ready(desk.backend->served(model, std::nullopt), model);
  const auto job = desk.jobs.with_model(customer.name, model);
  if (!job || find_offer(desk.service, job->ordered.tuning.offer) == nullptr) throw no_such_model(model);
  return ready(desk.backend->served(job->ordered.tuning.offer, job->ordered.tuning), model);
}

GenerateOptions options_of(const ChatRequest& request, const GenerateOptions& usual) {
  GenerateOptions options = usual;
  options.max_new_tokens = request.max_tokens.value_or(usual.max_new_tokens);
  options.temperature = request.temperature.value_or(usual.temperature);
  options.top_p = request.top_p.value_or(usual.top_p);
  options.seed = request.seed ? static_cast<std::uint64_t>(*request.seed) : static_cast<std::uint64_t>(next_order());
  return options;
}

Chat make_chat(Desk& desk, const Customer& customer, ChatRequest request) {
  Chat chat;
  chat.seat = desk.seats.take(customer.name);
  chat.question = {served(desk, customer, request.model), std::move(request.messages),
                   options_of(request, desk.scenario.generate)};
  chat.id = new_id("chatcmpl-");
  chat.model = request.model;
  chat.created = unix_seconds();
  chat.include_usage = request.include_usage;
  chat.customer = customer.name;
  if (!Accounts::has_limit(customer)) return chat;
  std::int64_t prompt = 0;
  if (desk.service.prices.input > 0) {
    prompt = asking([&] { return desk.backend->tokens(chat.question.served, {chat.question.messages}, 0); }).at(0);
  }
  const double most = desk.accounts.price_of_chat(prompt, chat.question.options.max_new_tokens);
  chat.reserved = std::make_shared<Reservation>(desk.accounts, customer, most, "the chat");
  return chat;
}

ChatAnswer ask(Desk& desk, const Chat& chat, const std::function<bool(const std::string&)>& on_text) {
  const ChatAnswer answer = asking([&] { return desk.backend->ask(chat.question, on_text); });
  desk.accounts.spend_on_chat(chat.customer, desk.accounts.price_of_chat(answer.prompt_tokens, answer.completion_tokens),
                              chat.id);
  return answer;
}

Json usage_of(const ChatAnswer& answer) {
  return {{"prompt_tokens", answer.prompt_tokens},
          {"completion_tokens", answer.completion_tokens},
          {"total_tokens", answer.prompt_tokens + answer.completion_tokens}};
}

std::string finish_reason(const ChatAnswer& answer) { return answer.cut ? "length" : "stop"; }

Json chunk(const Chat& chat, Json delta, Json finish = {}) {
  Json choice = {{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", std::move(finish)}, {"logprobs", nullptr}};
  Json object = {{"id", chat.id},
                 {"object", "chat.completion.chunk"},
                 {"created", chat.created},
                 {"model", chat.model},
                 {"choices", Json::array({std::move(choice)})}};
  if (chat.include_usage) object["usage"] = nullptr;
  return object;
}

Json usage_chunk(const Chat& chat, const ChatAnswer& answer) {
  Json object = chunk(chat, Json::object());
  object["choices"] = Json::array();
  object["usage"] = usage_of(answer);
  return object;
}

void stream(const Call& call, Desk& desk, Chat chat) {
  answer_events(call, [&desk, chat = std::move(chat)](const WriteEvent& write) {
    if (!write(chunk(chat, {{"role", "assistant"}, {"content", ""}}))) return;
    const ChatAnswer answer = ask(desk, chat, [&](const std::string& text) {
      return write(text.empty() ? Json() : chunk(chat, {{"content", text}}));
    });
    write(chunk(chat, Json::object(), finish_reason(answer)));
    if (chat.include_usage) write(usage_chunk(chat, answer));
  });
}

void complete(Call& call, Desk& desk) {
  call.no_query();
  ChatRequest request = chat_request(call.json());
  const bool streams = request.stream;
  Chat chat = make_chat(desk, call.customer, std::move(request));
  if (streams) return stream(call, desk, std::move(chat));
  const ChatAnswer said = ask(desk, chat, [](const std::string&) { return !client_is_gone(); });
  answer(call, {{"id", chat.id},
                {"object", "chat.completion"},
                {"created", chat.created},
                {"model", chat.model},
                {"choices", Json::array({{{"index", 0},
                                          {"message", {{"role", "assistant"}, {"content", said.text}, {"refusal", nullptr}}},
                                          {"finish_reason", finish_reason(said)},
                                          {"logprobs", nullptr}}})},
                {"usage", usage_of(said)}});
}

}  // namespace

void add_chat_routes(Routes& routes, Desk& desk) {
  routes.add({"POST", "/v1/chat/completions", [&desk](Call& call) { complete(call, desk); }});
}

}  // namespace holdfast
