#include "text/chat_template.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <initializer_list>
#include <mutex>
#include <string_view>
#include <vector>

#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "text/chat_template_limits.h"

namespace holdfast {

namespace {

// The engine recurses as deep as blocks nest, and as an expression is long.
constexpr int kDeepestBlocks = 200;
constexpr int kLongest = 1000;

// A template that prints the date would make the same stage differ from day to day, so every day is this one: the date that
// Llama-3 templates fall back on. Noon UTC is that day in nearly every time zone.
constexpr const char* kDate = "26 Jul 2024";
constexpr std::time_t kNow = 1721995200;

// The engine shows the place in further lines; an error is one line.
std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c != '\n' && c != '\r')
      line.push_back(c);
    else if (!line.empty() && line.back() != ' ')
      line.push_back(' ');
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '^')) line.pop_back();
  return line;
}

// How deep the blocks of a template nest. An elif nests inside the if before it, for the engine.
class BlockDepth {
 public:
  void open() { parts_.push_back(1), ++depth_; }
  void branch() {
    if (!parts_.empty()) ++parts_.back(), ++depth_;
  }
  void close() {
    if (parts_.empty()) return;
    depth_ -= parts_.back();
    parts_.pop_back();
  }
  int depth() const { return depth_; }

 private:
  std::vector<int> parts_;
  int depth_ = 0;
};

// Follows a statement's name; `set` opens a block only where it is no assignment.
void follow_block(const std::vector<jinja::token>& tokens, std::size_t at, BlockDepth& blocks) {
  const std::string& name = tokens[at].value;
  const auto is_any = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is_any({"if", "for", "macro", "call", "filter"})) blocks.open();
  if (name == "elif") blocks.branch();
  if (is_any({"endif", "endfor", "endmacro", "endcall", "endfilter", "endset"})) blocks.close();
  if (name != "set") return;
  const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(at);
  const auto ends = [](const jinja::token& token) {
    return token.t == jinja::token::equals || token.t == jinja::token::close_statement;
  };
  const auto end = std::find_if(first, tokens.end(), ends);
  if (end != tokens.end() && end->t == jinja::token::close_statement) blocks.open();
}

void check_depth(const jinja::lexer_result& lexed, const std::string& source) {
  using Type = jinja::token;
  BlockDepth blocks;
  int parts = 0;
  for (std::size_t i = 0; i < lexed.tokens.size(); ++i) {
    const auto type = lexed.tokens[i].t;
    const bool opens = type == Type::open_statement || type == Type::open_expression;
    parts = opens || type == Type::text ? 0 : parts + 1;
    if (type == Type::open_statement && i + 1 < lexed.tokens.size()) follow_block(lexed.tokens, i + 1, blocks);
    if (blocks.depth() > kDeepestBlocks)
      throw Error(source + ": the chat template is nested more than " + std::to_string(kDeepestBlocks) + " deep");
    if (parts > kLongest)
      throw Error(source + ": the chat template has an expression of more than " + std::to_string(kLongest) + " parts");
  }
}

// What the template itself said through raise_exception, else the engine's own words.
std::string reason(const std::exception& error) {
  constexpr std::string_view kRaised = "Jinja Exception: ";
  const std::string text = error.what();
  const std::size_t raised = text.find(kRaised);
  return one_line(raised == std::string::npos ? text : text.substr(raised + kRaised.size()));
}

bool begins_with_system(const Conversation& conversation) {
  return !conversation.empty() && conversation.front().role == "system";
}

jinja::value string_value(const std::string& text) { return jinja::mk_val<jinja::value_string>(text); }

jinja::value messages_value(const Conversation& conversation) {
  auto messages = jinja::mk_val<jinja::value_array>();
  for (const Message& message : conversation) {
    auto entry = jinja::mk_val<jinja::value_object>();
    entry->insert("role", string_value(message.role));
    entry->insert("content", string_value(message.content));
    messages->push_back(jinja::value(entry));
  }
  return messages;
}

}  // namespace

struct ChatTemplate::State {
  jinja::program program;
  std::map<std::string, std::string> special;
  std::string source;
  std::string refuses_system;
  std::once_flag said;

  std::string apply(const Conversation& conversation, bool add_generation_prompt) const;
  std::string why_no_system() const;
  Conversation folded(Conversation conversation);
};

// Throws what the engine throws.
std::string ChatTemplate::State::apply(const Conversation& conversation, bool add_generation_prompt) const {
  jinja::context context;
  context.current_time = kNow;
  context.set_val("date_string", string_value(kDate));
  for (const auto& [name, value] : special) context.set_val(name, string_value(value));
  context.set_val("messages", messages_value(conversation));
  context.set_val("add_generation_prompt", jinja::mk_val<jinja::value_bool>(add_generation_prompt));
  context.set_val("tools", jinja::mk_val<jinja::value_none>());
  context.set_val("documents", jinja::mk_val<jinja::value_none>());
  const Rendering rendering(context);
  jinja::runtime runtime(context);
  const jinja::value result = runtime.execute(program);
  return jinja::render_string_parts(jinja::runtime::gather_string_parts(result));
}

// A template that does not take the question alone says why when it is given a conversation.
std::string ChatTemplate::State::why_no_system() const {
  const Message user = {"user", "A question."};
  try {
    apply({user}, true);
  } catch (const std::exception&) {
    return "";
  }
  try {
    const bool shown = apply({{"system", "First."}, user}, true) != apply({{"system", "Second."}, user}, true);
    return shown ? "" : "it leaves its text out";
  } catch (const std::exception& error) {
    return reason(error);
  }
}

Conversation ChatTemplate::State::folded(Conversation conversation) {
  const std::string why = source + ": the chat template takes no system turn (" + refuses_system + ")";
  if (conversation.size() < 2 || conversation[1].role != "user") {
    throw Error(why + ", and the conversation has no user turn behind it that could carry its text");
  }
  std::call_once(said, [&] { log_info(why + ": the text of one stands at the beginning of the first user turn"); });
  const std::string text = conversation.front().content;
  conversation.erase(conversation.begin());
  if (!text.empty()) conversation.front().content = text + "\n\n" + conversation.front().content;
  return conversation;
}

ChatTemplate::ChatTemplate(const std::string& source_text, std::map<std::string, std::string> special,
                           const std::string& source) {
  try {
    jinja::lexer lexer;
    const jinja::lexer_result lexed = lexer.tokenize(source_text);
    check_depth(lexed, source);
    state_ = std::make_unique<State>();
    state_->program = jinja::parse_from_tokens(lexed);
    add_limits(state_->program);
    state_->special = std::move(special);
    state_->source = source;
    state_->refuses_system = state_->why_no_system();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(source + ": the chat template does not parse: " + one_line(error.what()));
  }
}

ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const Conversation& conversation, bool add_generation_prompt) const {
  const bool folds = begins_with_system(conversation) && !state_->refuses_system.empty();
  const Conversation& shown = folds ? state_->folded(conversation) : conversation;
  try {
    return state_->apply(shown, add_generation_prompt);
  } catch (const std::exception& error) {
    throw Error(state_->source + ": the chat template refused the conversation: " + reason(error));
  }
}

const std::string& ChatTemplate::refuses_system() const { return state_->refuses_system; }

const std::string& ChatTemplate::source() const { return state_->source; }

}  // namespace holdfast
