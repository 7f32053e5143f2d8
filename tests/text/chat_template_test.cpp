// Against transformers' apply_chat_template, and templates that do not parse or refuse.
#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "text/chat_template_limits.h"
#include "text/fixtures.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

Conversation conversation_of(const Json& messages) {
  Conversation conversation;
  for (const Json& message : messages) conversation.push_back({message["role"], message["content"]});
  return conversation;
}

std::string template_failure(const std::string& text, const Conversation& conversation = {{"user", "hi"}}) {
  try {
    ChatTemplate(text, {}, "model").render(conversation, false);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ChatTemplate, RendersAsTransformers) {
  const Json fixture = text_fixture("chats.json");
  int rendered = 0;
  int refused = 0;
  for (const Json& each : fixture["cases"]) {
    const std::string name = each["template"];
    const ChatTemplate chat(fixture["templates"][name], fixture["special"], name);
    const Conversation conversation = conversation_of(each["messages"]);
    const bool prompt = each["generation_prompt"];
    if (each.contains("text")) {
      EXPECT_EQ(chat.render(conversation, prompt), each["text"].get<std::string>()) << name << " " << each["messages"];
      ++rendered;
      continue;
    }
    ++refused;
    if (!chat.refuses_system().empty() && conversation.size() > 1 && conversation.front().role == "system") continue;  // below
    try {
      chat.render(conversation, prompt);
      ADD_FAILURE() << name << " rendered what it refuses: " << each["messages"];
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), name + ": the chat template refused the conversation: " + each["error"].get<std::string>());
    }
  }
  EXPECT_GT(rendered, 50);
  EXPECT_GT(refused, 5);
}

TEST(ChatTemplate, ASystemTextThatIsNotTakenStandsBeforeTheFirstUserTurn) {
  const Json fixture = text_fixture("chats.json");
  const ChatTemplate gemma(fixture["templates"]["gemma"], fixture["special"], "gemma");
  EXPECT_EQ(gemma.refuses_system(), "System role not supported");
  const Conversation rest = {{"user", "Hi"}, {"assistant", "Yes?"}, {"user", "Bye"}};
  Conversation given = rest, folded = rest;
  given.insert(given.begin(), {"system", "Be brief."});
  folded.front().content = "Be brief.\n\nHi";
  for (const bool prompt : {false, true}) EXPECT_EQ(gemma.render(given, prompt), gemma.render(folded, prompt));
  given.front().content = "";
  EXPECT_EQ(gemma.render(given, true), gemma.render(rest, true));
  try {
    gemma.render({{"system", "Be brief."}, {"assistant", "Yes?"}}, false);
    ADD_FAILURE() << "rendered a system text that nothing carries";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("takes no system turn (System role not supported), and the conversation has no user"));
  }
  // One that leaves it out without a word.
  const ChatTemplate drops("{% for m in messages %}{% if m.role != 'system' %}[{{ m.content }}]{% endif %}{% endfor %}", {},
                           "drops");
  EXPECT_EQ(drops.render({{"system", "Be brief."}, {"user", "Hi"}}, true), "[Be brief.\n\nHi]");
}

TEST(ChatTemplate, ASystemTextThatIsTakenStaysWhereItIs) {
  const Json fixture = text_fixture("chats.json");
  for (const char* name : {"chatml", "llama2", "llama3", "mistral", "qwen3"}) {
    EXPECT_EQ(ChatTemplate(fixture["templates"][name], fixture["special"], name).refuses_system(), "") << name;
  }
  // One that refuses the question too says so itself.
  EXPECT_EQ(ChatTemplate("{{ raise_exception('never') }}", {}, "model").refuses_system(), "");
}

// A stage must not differ from day to day.
TEST(ChatTemplate, EveryDayIsTheSame) {
  EXPECT_EQ(ChatTemplate("{{ strftime_now('%d %b %Y') }}, {{ date_string }}", {}, "model").render({}, false),
            "26 Jul 2024, 26 Jul 2024");
}

TEST(ChatTemplate, AbsentVariablesAreUndefined) {
  EXPECT_EQ(ChatTemplate("{{ bos_token }}{% if tools %}T{% endif %}{% if foo is defined %}F{% endif %}.", {}, "model")
                .render({}, false),
            ".");
}

TEST(ChatTemplate, RaisedMessagesAreErrors) {
  EXPECT_EQ(template_failure("{{ raise_exception('no system turn, please') }}"),
            "model: the chat template refused the conversation: no system turn, please");
  EXPECT_THAT(template_failure("{{ messages[7].content.nothing() }}"),
              HasSubstr("model: the chat template refused the conversation: "));
  EXPECT_THAT(template_failure("{{ 1 / 'a' }}"), HasSubstr("refused"));
}

TEST(ChatTemplate, SyntaxErrorsAreOneLine) {
  for (const char* text : {"{% if %}", "{% for x in messages %}", "{{ 'a }}", "{{ (1 }}", "{% odd %}", "{{ messages[ }}",
                           "{% if true %}{% endfor %}", "{{", "{%", "{#"}) {
    const std::string message = template_failure(text);
    EXPECT_THAT(message, testing::StartsWith("model: the chat template ")) << text;
    EXPECT_THAT(message, testing::Not(HasSubstr("\n"))) << text;
  }
}

TEST(ChatTemplate, DeepTemplatesAreRefused) {
  for (const char* block : {"{% if true %}", "{% set x %}", "{% for m in messages %}"}) {
    std::string nested;
    for (int i = 0; i < 50000; ++i) nested += block;
    EXPECT_THAT(template_failure(nested), HasSubstr("nested more than 200 deep")) << block;
  }
  for (const char* part : {"(", "[", "not ", "1 + ", "x.y and ", "x|trim|", "1 if 0 else ", "-"}) {
    std::string chain = "{{ ";
    for (int i = 0; i < 50000; ++i) chain += part;
    EXPECT_THAT(template_failure(chain + "1 }}"), HasSubstr("an expression of more than 1000 parts")) << part;
  }
}

TEST(ChatTemplate, AsDeepAsIsAllowedStillRenders) {
  std::string begin;
  std::string end;
  std::string elifs = "{% if false %}";
  for (int i = 0; i < 190; ++i) {
    begin += "{% if true %}";
    end += "{% endif %}";
    elifs += "{% elif false %}";
  }
  EXPECT_EQ(ChatTemplate(begin + "x" + end, {}, "model").render({}, false), "x");
  EXPECT_EQ(ChatTemplate(elifs + "{% else %}y{% endif %}" + begin + "x" + end, {}, "model").render({}, false), "yx");
  std::string sum = "{{ 1";
  for (int i = 0; i < 450; ++i) sum += " + 1";
  EXPECT_EQ(ChatTemplate(sum + " }}", {}, "model").render({}, false), "451");
  EXPECT_EQ(ChatTemplate("{{ " + std::string(490, '(') + "1" + std::string(490, ')') + " }}", {}, "model").render({}, false),
            "1");
}

TEST(ChatTemplate, TemplatesThatWouldNotEndAreRefused) {
  EXPECT_THAT(template_failure("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
              HasSubstr(": its macros call each other without end"));
  EXPECT_THAT(template_failure("{% macro a() %}{{ [b()] }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ b() }}"),
              HasSubstr("its macros call each other without end"));
  EXPECT_THAT(template_failure("{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}"),
              HasSubstr("it takes more than 200000 turns of loops and macros"));
  EXPECT_THAT(template_failure("{% for i in range(1000000000000) %}{% endfor %}"),
              HasSubstr("it has range() count to 1000000000000, expected at most 100000"));
  EXPECT_THAT(template_failure("{% for i in range(1, 200000000 - 0 / 1) %}{% endfor %}"),
              HasSubstr("it has range() count to 200000000.000000, expected at most 100000"));
  for (const char* product :
       {"{{ 'a' * 1000000000000 }}", "{{ 1000000000000 * 'a' }}", "{{ [{'a': ('a' * 1000000000000, 1)}] }}"}) {
    EXPECT_THAT(template_failure(product), HasSubstr("it multiplies by 1000000000000, expected at most 100000")) << product;
  }
}

TEST(ChatTemplate, ValuesThatHoldThemselvesAreRefused) {
  for (const char* text : {
           "{% set ns = namespace(n=0) %}{% set ns.n = [1, ns] %}{{ ns }}",
           "{% set a = namespace() %}{% set b = namespace() %}{% set a.b = {'b': b} %}{% set b.a = [a] %}{{ a }}",
           "{% set l = [] %}{{ l.append(l) }}",
           "{% set l = [] %}{% set put = l.append %}{{ put([[l]]) }}",
           "{% set l = [] %}{{ l['append']([l]) }}",
           "{% set m = messages[0] %}{% set m.all = messages %}{{ m }}",
           "{% set ns = namespace() %}{% set ns.x = ns.get %}{{ ns | string }}",
           "{% set l = [] %}{% set _ = l.append(l.append) %}{{ l | string }}",
       }) {
    EXPECT_THAT(template_failure(text), HasSubstr("it puts a list or an object into itself")) << text;
  }
}

TEST(ChatTemplate, ValuesWithoutEndInEachOtherAreRefused) {
  for (const char* text : {
           "{% set ns = namespace(n=[]) %}{% for i in range(1000) %}{% set ns.n = [ns.n] %}{% endfor %}",
           "{% set ns = namespace() %}{% set ns.last = namespace() %}{% set ns.first = ns.last %}{% for i in range(1000) %}"
           "{% set next = namespace() %}{% set ns.last.next = next %}{% set ns.last = next %}{% endfor %}",
           "{% set ns = namespace(a=[]) %}{% for i in range(1000) %}{% set ns.a = [ns.a.append] %}{% endfor %}",
           "{% set ns = namespace(a=[]) %}{% for i in range(1000) %}{% set b = [] %}{% set _ = b.append(x=ns.a) %}{% set "
           "ns.a = b %}"
           "{% endfor %}",
           "{% macro m(x, n) %}{% if n > 0 %}{{ m([[[[x]]]], n - 1) }}{% endif %}{% endmacro %}{{ m([], 100) }}",
           "{% macro m(n, x=[], y=[[[[x]]]]) %}{% if n > 0 %}{{ m(n - 1, y) }}{% endif %}{% endmacro %}{{ m(100) }}",
           "{% set ns = namespace(l=[]) %}{% set all = ns.l %}{% for i in range(1000) %}{% set next = [] %}"
           "{{ ns.l.append(next) }}{% set ns.l = next %}{% endfor %}",
       }) {
    EXPECT_THAT(template_failure(text), HasSubstr("it puts lists or objects into each other more than 100 deep")) << text;
  }
}

TEST(ChatTemplate, LoopsMayNotDeepenValuesEither) {
  std::string text = "{% set x = [] %}", ends;
  for (int i = 0; i < 40; ++i) text += "{% for x in [[[[x]]]] %}", ends += "{% endfor %}";
  EXPECT_THAT(template_failure(text + "{{ x | tojson }}" + ends), HasSubstr("more than 100 deep"));
}

TEST(ChatTemplate, WhatCannotBeLookedAtIsNotKept) {
  EXPECT_THAT(template_failure("{% macro m(box) %}{% set _ = box.append(caller) %}{% endmacro %}{% set l = [] %}"
                               "{% call m(l) %}{% endcall %}"),
              HasSubstr("it keeps the block of a call"));
  EXPECT_THAT(
      template_failure("{% set ns = namespace() %}{% set l = [ns, namespace()] %}{% set l.pop().x = ns %}{{ ns | tojson }}"),
      HasSubstr("it sets a member of what is neither a name nor a member"));
}

TEST(ChatTemplate, ValuesAreKeptAsUsual) {
  const char* text =
      "{% set ns = namespace(all=[], last=none) %}{% for i in range(300) %}{% set ns.all = ns.all + [{'i': [i]}] %}"
      "{% set ns.last = ns.all[-1] %}{% endfor %}{{ ns.all | length }} {{ ns.last.i[0] }}"
      "{% set l = [] %}{% for m in ns.all %}{% set _ = l.append(m) %}{% endfor %} {{ l | length }} {{ l[7].i[0] }}";
  EXPECT_EQ(ChatTemplate(text, {}, "model").render({}, false), "300 299 300 7");
}

TEST(ChatTemplate, LimitsMayBeLower) {
  set_template_limits({.steps = 10, .factor = 20});
  EXPECT_THAT(template_failure("{% for i in range(11) %}{% endfor %}"),
              HasSubstr("it takes more than 10 turns of loops and macros"));
  EXPECT_THAT(template_failure("{{ 'a' * 21 }}"), HasSubstr("it multiplies by 21, expected at most 20"));
  EXPECT_EQ(ChatTemplate("{% for i in range(10) %}{{ i }}{% endfor %}", {}, "model").render({}, false), "0123456789");
  set_template_limits({});
  EXPECT_EQ(ChatTemplate("{{ 'a' * 21 }}", {}, "model").render({}, false), std::string(21, 'a'));
}

TEST(ChatTemplate, MacrosLoopsAndProductsWithinTheLimitsRender) {
  const char* text =
      "{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(9) }}{{ '=' * 3 }}{{ 2 * 3 * "
      "4 }}"
      "{% for i in range(1, 6, 2) %}{{ loop.index }}{{ i }}{% else %}none{% endfor %}";
  EXPECT_EQ(ChatTemplate(text, {}, "model").render({}, false), "9876543210===24112335");
}

TEST(ChatTemplate, ContentIsNeverExecuted) {
  const ChatTemplate chat("{{ messages[0].content }}", {}, "model");
  EXPECT_EQ(chat.render({{"user", "{{ 1 + 1 }}{% raise %}"}}, false), "{{ 1 + 1 }}{% raise %}");
}

}  // namespace
}  // namespace holdfast
