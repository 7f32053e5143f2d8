#include "text/chat_template_limits.h"

#include <atomic>
#include <cmath>
#include <mutex>
#include <string>
#include <utility>

#include "text/chat_template_nesting.h"

namespace holdfast {
namespace {

constexpr std::ptrdiff_t kMostStack = 2 << 20;  // bytes that macros may take in each other

// Each is read alone: a rendering under way while they change has one or the other.
std::atomic<std::int64_t> most_steps = TemplateLimits().steps;
std::atomic<std::int64_t> largest_factor = TemplateLimits().factor;

thread_local const char* stack_begin = nullptr;
thread_local std::int64_t steps = 0;
thread_local ValueNesting nesting;

[[noreturn]] void refuse(const std::string& what) { throw jinja::raised_exception("Jinja Exception: " + what); }

// Whole or not: where the engine counts, it rounds.
void check_number(const jinja::value& value, const std::string& what) {
  const bool is_whole = jinja::is_val<jinja::value_int>(value);
  if (!is_whole && !jinja::is_val<jinja::value_float>(value)) return;
  const double number = is_whole ? static_cast<double>(value->as_int()) : value->as_float();
  const std::int64_t most = largest_factor;
  if (std::abs(number) <= static_cast<double>(most)) return;
  const std::string found = is_whole ? std::to_string(value->as_int()) : std::to_string(number);
  refuse(what + " " + found + ", expected at most " + std::to_string(most));
}

// Stands at the beginning of each macro and loop.
struct Step : jinja::statement {
  jinja::value execute_impl(jinja::context&) const override {
    if (++steps > most_steps) refuse("it takes more than " + std::to_string(most_steps) + " turns of loops and macros");
    const char* here = static_cast<const char*>(__builtin_frame_address(0));
    if (std::abs(stack_begin - here) > kMostStack) refuse("its macros call each other without end");
    return jinja::mk_val<jinja::value_undefined>();
  }
};

// Stands around each factor of a product: a text times a number is that text so often.
struct Factor : jinja::expression {
  explicit Factor(jinja::statement_ptr what) : inner(std::move(what)) { pos = inner->pos; }
  jinja::value execute_impl(jinja::context& context) const override {
    jinja::value value = inner->execute(context);
    check_number(value, "it multiplies by");
    return value;
  }
  jinja::statement_ptr inner;
};

void check_nesting(const jinja::value& holder, const jinja::value& added) {
  if (const std::string fault = nesting.keep(holder, added); !fault.empty()) refuse(fault);
}

// Whether evaluating it twice gives the same: a name, or a member of what is such a thing.
bool is_place(const jinja::statement* node) {
  if (const auto* member = dynamic_cast<const jinja::member_expression*>(node)) {
    return is_place(member->object.get()) && is_place(member->property.get());
  }
  return dynamic_cast<const jinja::identifier*>(node) != nullptr ||
         dynamic_cast<const jinja::string_literal*>(node) != nullptr ||
         dynamic_cast<const jinja::integer_literal*>(node) != nullptr;
}

// Stands around a value that gets a name: is set, passed to a macro, gone through, or made a member of an object.
struct Kept : jinja::expression {
  explicit Kept(jinja::statement_ptr what, const jinja::statement* assignee = nullptr)
      : inner(std::move(what)), member(dynamic_cast<const jinja::member_expression*>(assignee)) {
    pos = inner->pos;
  }
  jinja::value execute_impl(jinja::context& context) const override {
    jinja::value value = inner->execute(context);
    if (member != nullptr && !is_place(member->object.get())) refuse("it sets a member of what is neither a name nor a member");
    check_nesting(member == nullptr ? nullptr : member->object->execute(context), value);
    return value;
  }
  jinja::statement_ptr inner;
  const jinja::member_expression* member;  // of the statement that owns both
};

void keep(jinja::statement_ptr& value, const jinja::statement* assignee = nullptr) {
  value = std::make_unique<Kept>(std::move(value), assignee);
}

// Arguments of a call, or parameters of a macro with what they are where nothing is passed. The engine looks at what kind they
// are: a named one stays what it is, and what a spread one has was kept.
void keep_named(jinja::statements& parameters) {
  for (auto& each : parameters) {
    if (auto* named = dynamic_cast<jinja::keyword_argument_expression*>(each.get())) keep(named->val);
  }
}
void keep_arguments(jinja::statements& arguments) {
  keep_named(arguments);
  for (auto& each : arguments) {
    const bool is_plain = dynamic_cast<jinja::keyword_argument_expression*>(each.get()) == nullptr &&
                          dynamic_cast<jinja::spread_expression*>(each.get()) == nullptr;
    if (is_plain) keep(each);
  }
}

// The engine's lists know one way to take something in, under whatever name a template calls it.
void limit_append() {
  const auto& append = std::as_const(*jinja::mk_val<jinja::value_array>()).get_builtins().at("append");
  auto& place = const_cast<jinja::func_handler&>(append);  // the table is constant, what stands in it was made without
  place = [engines = append](const jinja::func_args& arguments) {
    if (arguments.count() == 2) check_nesting(arguments.get_pos(0), arguments.get_pos(1));
    return engines(arguments);
  };
}

void add_step(jinja::statements& body, std::size_t position) {
  auto step = std::make_unique<Step>();
  step->pos = position;
  body.insert(body.begin(), std::move(step));
}

// Children first: what is added is not looked at again.
class Limiter {
 public:
  Limiter() {
    context_.visitor = [this](bool, const jinja::statement* node, const std::vector<jinja::visitor_pair>& parts) {
      for (const auto& [label, children] : parts) {
        for (const auto* child : children) look_at(child);
      }
      add_to(node);
    };
  }

  void look_at(const jinja::statement* node) {
    if (node == nullptr) return;
    // The engine shows nobody what literals hold.
    if (const auto* list = dynamic_cast<const jinja::array_literal*>(node)) look_at_all(list->val);
    if (const auto* list = dynamic_cast<const jinja::tuple_literal*>(node)) look_at_all(list->val);
    if (const auto* object = dynamic_cast<const jinja::object_literal*>(node)) {
      for (const auto& [key, value] : object->val) look_at(key.get()), look_at(value.get());
    }
    node->visit(context_);
  }

 private:
  void look_at_all(const jinja::statements& nodes) {
    for (const auto& node : nodes) look_at(node.get());
  }

  // The program is ours; its visitors only see it as constant.
  static void add_to(const jinja::statement* seen) {
    auto* node = const_cast<jinja::statement*>(seen);
    if (auto* loop = dynamic_cast<jinja::for_statement*>(node)) {
      add_step(loop->body, loop->pos);
      auto* chosen = dynamic_cast<jinja::select_expression*>(loop->iterable.get());
      keep(chosen != nullptr ? chosen->lhs : loop->iterable);
    }
    if (auto* macro = dynamic_cast<jinja::macro_statement*>(node)) {
      add_step(macro->body, macro->pos);
      keep_named(macro->args);
    }
    if (auto* call = dynamic_cast<jinja::call_expression*>(node)) keep_arguments(call->args);
    if (auto* set = dynamic_cast<jinja::set_statement*>(node); set != nullptr && set->val) keep(set->val, set->assignee.get());
    if (auto* product = dynamic_cast<jinja::binary_expression*>(node); product != nullptr && product->op.value == "*") {
      product->left = std::make_unique<Factor>(std::move(product->left));
      product->right = std::make_unique<Factor>(std::move(product->right));
    }
  }

  jinja::context context_;
};

jinja::value limited_range(const jinja::func_args& arguments) {
  for (const auto& argument : arguments.get_args()) check_number(argument, "it has range() count to");
  return jinja::global_builtins().at("range")(arguments);
}

}  // namespace

void set_template_limits(const TemplateLimits& limits) {
  most_steps = limits.steps;
  largest_factor = limits.factor;
}

void add_limits(jinja::program& program) {
  static std::once_flag once;
  std::call_once(once, limit_append);
  Limiter limiter;
  for (const auto& statement : program.body) limiter.look_at(statement.get());
}

Rendering::Rendering(jinja::context& context) {
  stack_begin = static_cast<const char*>(__builtin_frame_address(0));
  steps = 0;
  nesting = {};
  context.set_val("range", jinja::mk_val<jinja::value_func>("range", limited_range));
}

Rendering::~Rendering() {
  stack_begin = nullptr;
  nesting = {};
}

}  // namespace holdfast
