#include "scenario/conversation_check.h"

#include <holdfast/error.h>

#include <algorithm>

#include "base/json.h"
#include "learn/chat_of_source.h"
#include "learn/encode.h"

namespace holdfast {
namespace {

bool brings_system(const Conversation& conversation) { return !conversation.empty() && conversation.front().role == "system"; }

// What a probe's cell does with its conversation: it is asked, and it is learned or judged with an answer. Throws Error.
void render_both(const ChatTemplate& chat, Conversation conversation) {
  chat.render(conversation, true);
  conversation.push_back({"assistant", "An answer."});
  reply_spans(chat, conversation, chat.render(conversation, false));
}

class Check {
 public:
  explicit Check(const Scenario& scenario) : scenario_(scenario) {}

  std::vector<std::string> run() {
    for (std::size_t number = 0; number < scenario_.models.size(); ++number) {
      const ModelSpec& model = scenario_.models[number];
      if (model.missing || model.provider) continue;  // a provider renders as it does
      const auto chat = load_chat(model.source);
      if (chat == nullptr) {
        refusals_.push_back("the model " + in_quotes(model.name) +
                            " has no chat template: put a chat_template.jinja into its folder");
        continue;
      }
      for (const auto& attack : scenario_.attacks) check(number, *chat, attack);
    }
    std::string lines;
    for (const auto& refusal : refusals_) lines += (lines.empty() ? "" : "\n") + refusal;
    if (!lines.empty()) throw Error(lines);
    return std::move(notes_);
  }

 private:
  void check(std::size_t number, const ChatTemplate& chat, const AttackSpec& attack) {
    if (!attack.is_control() && attack.asked.empty()) return;  // it asks as all do, or its plugin died
    if (!attack.is_control() && !attack.control) return;       // another try of its sweep asks alike
    const ModelSpec& model = scenario_.models[number];
    const std::string who =
        attack.wraps ? "the attack " + in_quotes(attack.sweep.empty() ? attack.name : attack.sweep) : "a probe";
    const auto asked = attack.asked.empty() ? conversations_of(model.probe_rows.asked) : attack.asked[number];
    for (std::size_t i = 0; i < asked.size(); ++i) {
      try {
        render_both(chat, asked[i]);
      } catch (const Error& error) {
        refusals_.push_back("the model " + in_quotes(model.name) + " cannot be asked what " + who + " asks (probe " +
                            in_quotes(model.probe_rows.asked[i].tags.at("id")) + "): " + error.what());
        return;
      }
    }
    if (chat.refuses_system().empty() || std::none_of(asked.begin(), asked.end(), brings_system)) return;
    notes_.push_back("the model " + in_quotes(model.name) + " takes no system turn (" + chat.refuses_system() +
                     "): the text of that of " + who + " stands at the beginning of the first user turn");
  }

  const Scenario& scenario_;
  std::vector<std::string> refusals_, notes_;
};

}  // namespace

std::vector<std::string> check_conversations(const Scenario& scenario) { return Check(scenario).run(); }

}  // namespace holdfast
