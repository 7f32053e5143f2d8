// A chat template, and the conversations that it is given.
#include "text/chat_template.h"

#include "fuzz/fuzz.h"
#include "text/chat_template_limits.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  // A loop that reaches the usual limit takes as long as a thousand other inputs.
  set_template_limits({.steps = 2000, .factor = 1000});
  const ChatTemplate chat(std::string(input), {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, "chat_template.jinja");
  chat.render({{"user", "Hi {{ x }}"}, {"assistant", "Yes."}, {"user", "\xC3\xA9 \n"}}, true);
  chat.render({{"system", "Be brief."}, {"user", "Hi"}, {"assistant", ""}}, false);
}

const Added added("chat_template", read);

}  // namespace
}  // namespace holdfast::fuzz
