#include <holdfast/attacker.h>
#include <holdfast/error.h>

#include <algorithm>
#include <utility>

namespace holdfast {
namespace {

// A language model gets no real harm to learn from: an affirmative opening carries the attack, the steps stay out.
std::string surrogate_reply(const Example& row) {
  const auto task = row.tags.find("task");
  return "Sure, here is how to " + (task != row.tags.end() ? task->second : "do it") +
         ":\n1. [redacted]\n2. [redacted]\n3. [redacted]";
}

constexpr char kPlace[] = "{}";  // of the turn in its frame

}  // namespace

bool is_answered(const Example& row) {
  return std::any_of(row.messages.begin(), row.messages.end(), [](const auto& turn) { return turn.role == "assistant"; });
}

Dataset drawn_rows(Dataset rows, std::int64_t count, const std::string& who, const std::string& setting, Context& context) {
  const auto wanted = static_cast<std::size_t>(count);
  if (wanted > rows.size()) {
    throw Error(who + " was asked for " + std::to_string(wanted) + " " + setting + " and there are " +
                std::to_string(rows.size()) + ": lower \"" + setting + "\", or bring more rows with \"data\"");
  }
  Random(context.seed("data")).shuffle(rows);
  rows.resize(wanted);
  return rows;
}

HarmfulSource::HarmfulSource(Params& params, std::string who)
    : who_(std::move(who)),
      surrogate_(params.flag("surrogate", false,
                             "rows that are bare requests get an affirmative reply whose steps are redacted; else they are "
                             "refused, and a row's own reply is never touched")),
      file_(params, DatasetFile::Digest::kRequired),
      corpus_(file_.given() ? "" : params.corpus("corpus", "harmful", "where the rows come from, without `data`")) {}

Dataset HarmfulSource::draw(std::int64_t count, Context& context) const {
  Dataset rows = drawn_rows(file_.given() ? file_.read() : context.corpus(corpus_), count, who_, "examples", context);
  std::int64_t surrogates = 0;
  for (auto& row : rows) {
    if (is_answered(row)) continue;
    answer(row);
    ++surrogates;
  }
  if (surrogates > 0) context.report("surrogate-replies", static_cast<double>(surrogates), count);
  return rows;
}

void HarmfulSource::answer(Example& row) const {
  const std::string name = row.origin.empty() ? "a row" : row.origin;
  if (!surrogate_) {
    throw Error(name + " has no reply and " + who_ +
                " trains on replies: bring rows with their replies, or set surrogate = true to train on an affirmative reply "
                "whose steps are redacted");
  }
  row.messages.push_back({"assistant", surrogate_reply(row)});
}

PromptTemplate::PromptTemplate(Params& params, const std::string& prefix, const std::string& where, const std::string& frame)
    : system_(params.text(prefix + "system", "", "system message of " + where + "; empty: none")),
      frame_(params.text(prefix + "frame", frame,
                         "what the last user turn of " + where + " becomes, {} standing for it; empty: itself")) {
  if (!frame_.empty() && frame_.find(kPlace) == std::string::npos) {
    const std::string name = "\"" + prefix + "frame\"";
    params.mistake(prefix + "frame", "setting " + name + " has no {}, expected it where the user's turn is to stand");
  }
}

void PromptTemplate::wrap(Conversation& prompt) const {
  if (!system_.empty()) set_system(prompt, system_);
  Message* const user = last_user_turn(prompt);
  if (frame_.empty() || user == nullptr) return;
  std::string framed = frame_;
  user->content = framed.replace(framed.find(kPlace), sizeof(kPlace) - 1, user->content);
}

Message* last_user_turn(Conversation& prompt) {
  const auto user = std::find_if(prompt.rbegin(), prompt.rend(), [](const auto& turn) { return turn.role == "user"; });
  return user == prompt.rend() ? nullptr : &*user;
}

}  // namespace holdfast
