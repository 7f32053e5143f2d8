#include "text/thought.h"

#include <algorithm>
#include <array>

namespace holdfast {
namespace {

// In lower case.
struct Marks {
  std::string_view open;
  std::string_view close;
};

constexpr std::array<Marks, 14> kMarks = {{
    {"<think>", "</think>"},  // Qwen 3, DeepSeek R1, SmolLM3, Phi 4 and many others
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},  // EXAONE Deep
    {"<reasoning>", "</reasoning>"},
    {"<reflection>", "</reflection>"},
    {"<seed:think>", "</seed:think>"},                                    // Seed-OSS
    {"[think]", "[/think]"},                                              // Magistral
    {"\xE2\x97\x81think\xE2\x96\xB7", "\xE2\x97\x81/think\xE2\x96\xB7"},  // Kimi, between U+25C1 and U+25B7
    {"<|begin_of_thought|>", "<|end_of_thought|>"},                       // Sky-T1, OpenThinker
    {"<|start_thinking|>", "<|end_thinking|>"},                           // Command A Reasoning
    {"<|inner_prefix|>", "<|inner_suffix|>"},                             // Apertus
    {"<unused94>thought", "<unused95>"},                                  // MedGemma
    {"<|channel>thought", "<channel|>"},                                  // Gemma 4
    {"<|channel|>analysis", "<|channel|>final<|message|>"},               // gpt-oss
}};

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return made;
}

bool begins_line(std::string_view text, std::size_t at) {
  const auto before = text.substr(0, at).find_last_not_of(" \t");
  return before == std::string_view::npos || text[before] == '\n';
}

bool says_nothing(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
  });
}

struct Opening {
  std::size_t at = std::string_view::npos;
  const Marks* marks = nullptr;
};

Opening next_opening(std::string_view text, std::size_t from) {
  Opening next;
  for (const auto& marks : kMarks) {
    for (auto at = text.find(marks.open, from); at < next.at; at = text.find(marks.open, at + 1)) {
      if (!begins_line(text, at) && text.find(marks.close, at) == std::string_view::npos) continue;
      next = {at, &marks};
      break;
    }
  }
  return next;
}

// Where the thought ends that the prompt opened; 0 when it opened none.
std::size_t end_of_first_thought(std::string_view text) {
  std::size_t end = 0;
  std::size_t first = next_opening(text, 0).at;
  for (const auto& marks : kMarks) {
    const auto close = text.find(marks.close);
    if (close >= first) continue;
    first = close;
    end = close + marks.close.size();
  }
  return end;
}

}  // namespace

PartedReply part_reply(const std::string& reply) {
  const std::string text = lower(reply);
  PartedReply parted;
  for (std::size_t at = end_of_first_thought(text);;) {
    const auto [begin, marks] = next_opening(text, at);
    parted.answer.append(reply, at, begin - at);
    if (marks == nullptr) return parted;
    const auto end = text.find(marks->close, begin + marks->open.size());
    if (end == std::string::npos) {
      parted.unfinished = says_nothing(parted.answer);
      return parted;
    }
    at = end + marks->close.size();
  }
}

bool begins_thought_mark(std::string_view token) {
  const std::string text = lower(token);
  return text.size() > 2 && std::any_of(kMarks.begin(), kMarks.end(), [&](const Marks& marks) {
           return marks.open.starts_with(text) || marks.close.starts_with(text);
         });
}

std::string_view opened_thought(std::string_view prompt) {
  const auto end = prompt.find_last_not_of(" \t\r\n") + 1;
  const std::string text = lower(prompt.substr(0, end));
  for (const auto& marks : kMarks) {
    if (text.ends_with(marks.open)) return prompt.substr(end - marks.open.size());
  }
  return {};
}

}  // namespace holdfast
