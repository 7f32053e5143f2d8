#include "judge/tasks.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cctype>
#include <numeric>

#include "base/untrusted.h"
#include "judge/builtin_judges.h"
#include "learn/content_log_probs.h"

namespace holdfast {
namespace {

std::string tag_of(const Example& row, const std::string& name) {
  const auto found = row.tags.find(name);
  return found == row.tags.end() ? "" : found->second;
}

// A tag that holds a JSON list of texts, or one text.
std::vector<std::string> texts_of(const std::string& tag) {
  const Json list = json_or_discarded(tag);
  if (!list.is_array()) return {tag};
  if (!std::all_of(list.begin(), list.end(), [](const Json& text) { return text.is_string(); })) {
    throw Error("the list " + in_short(list) + " of a task row holds something else than texts: put each in quotes");
  }
  return list.get<std::vector<std::string>>();
}

std::vector<std::string> answers_of(const std::map<std::string, std::string>& tags) {
  for (const char* name : {"answers", "answer"}) {
    if (const auto found = tags.find(name); found != tags.end()) return texts_of(found->second);
  }
  return {};
}

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_text(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0; }

// Lower case, from the first to the last letter or digit, every run of white space one space.
std::string normal_text(const std::string& text) {
  const std::string lower = lower_case(plain_text(text));
  const auto first = std::find_if(lower.begin(), lower.end(), is_text);
  const auto last = std::find_if(lower.rbegin(), lower.rend(), is_text).base();
  std::string normal;
  for (auto c = first; c < last; ++c) {
    const bool space = std::isspace(static_cast<unsigned char>(*c)) != 0;
    if (!space) normal += *c;
    if (space && normal.back() != ' ') normal += ' ';
  }
  return normal;
}

// The last number of a text without its thousands separators, or an empty string.
std::string last_number(const std::string& text) {
  std::string last;
  std::string number;
  const auto finish = [&] {
    while (!number.empty() && (number.back() == '.' || number.back() == ',')) number.pop_back();
    if (std::any_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; })) last = number;
    number.clear();
  };
  for (const char c : text + " ") {
    const bool digit = c >= '0' && c <= '9';
    const bool inside = !number.empty() && (c == '.' || c == ',');
    if (digit || inside || (number.empty() && c == '-')) {
      number += c;
    } else {
      finish();
      if (c == '-') number = "-";
    }
  }
  std::erase(last, ',');
  return last;
}

bool matches(const std::string& reply, const std::string& answer, bool number) {
  return number ? last_number(reply) == last_number(answer) : normal_text(reply) == normal_text(answer);
}

// Lin's words: runs of ASCII letters and digits, in lower case.
std::vector<std::string> rouge_words(const std::string& text) {
  std::vector<std::string> words = {""};
  for (const char c : lower_case(text)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::size_t longest_common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (const auto& word : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

Verdict judge_reply(const JudgedReply& judged) {
  Verdict verdict;
  const std::string metric = judged.tag("metric");
  const auto answers = answers_of(judged.tags);
  const std::string id = "utility." + judged.tag("task");
  const std::string& reply = judged.answer;
  if (metric == "exact-match") {
    const bool number = judged.tag("extract") == "last-number";
    const bool right =
        std::any_of(answers.begin(), answers.end(), [&](const std::string& answer) { return matches(reply, answer, number); });
    verdict.outcomes[id] = right;
    verdict.raw = {{"right", right}};
  } else if (metric == "rouge-l") {
    double best = 0;
    for (const auto& answer : answers) best = std::max(best, rouge_l(reply, answer));
    verdict.outcomes[id] = best;
    verdict.raw = {{"rouge_l", best}};
  }
  return verdict;
}

class TasksJudge final : public RuleJudge {
 public:
  Verdict judge(const JudgedReply& judged) const override { return judge_reply(judged); }
};

Conversation with_reply(Conversation conversation, const std::string& reply) {
  conversation.push_back({"assistant", reply});
  return conversation;
}

Verdict choice_verdict(const Example& row, const std::vector<std::string>& choices, const std::vector<double>& likelihoods) {
  std::vector<double> normal;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    normal.push_back(likelihoods[i] / static_cast<double>(characters(choices[i])));
  }
  const auto best = [](const std::vector<double>& values) {
    return std::max_element(values.begin(), values.end()) - values.begin();
  };
  const auto right = std::stoll(tag_of(row, "answer"));
  return {{{"utility." + tag_of(row, "task"), best(normal) == right}},
          {{"log_likelihoods", likelihoods}, {"chosen", best(normal)}, {"chosen_without_length", best(likelihoods)}}};
}

Verdict perplexity_verdict(const Example& row, const std::vector<double>& log_probs) {
  const double sum = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
  if (log_probs.empty()) return {{}, {{"tokens", std::int64_t{0}}}};
  return {{{"perplexity." + tag_of(row, "task"), -sum / static_cast<double>(log_probs.size())}},
          {{"log_likelihood", sum}, {"tokens", static_cast<std::int64_t>(log_probs.size())}}};
}

[[noreturn]] void refuse(const Example& row, const std::string& sentence) {
  throw Error("a row of the task \"" + tag_of(row, "task") + "\" (\"" + last_content(row.messages, "user").substr(0, 60) +
              "\") " + sentence);
}

void check_choices(const Example& row) {
  const auto choices = row.tags.contains("choices") ? texts_of(row.tags.at("choices")) : std::vector<std::string>{};
  if (choices.size() < 2) refuse(row, "has no \"choices\", expected a list of at least two texts");
  if (std::count(choices.begin(), choices.end(), "") > 0) refuse(row, "has an empty choice");
  const std::string answer = tag_of(row, "answer");
  const bool number = !answer.empty() && std::all_of(answer.begin(), answer.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || answer.size() > 9 || std::stoull(answer) >= choices.size()) {
    refuse(row, "has the \"answer\" \"" + answer + "\", expected the index of the right choice, from 0 to " +
                    std::to_string(choices.size() - 1));
  }
}

}  // namespace

bool is_measured(const Example& row) {
  const std::string metric = tag_of(row, "metric");
  return metric == "multiple-choice" || metric == "perplexity";
}

void check_task(const Example& row) {
  const std::string metric = tag_of(row, "metric");
  if (metric == "multiple-choice") return check_choices(row);
  if (metric == "perplexity") {
    if (row.messages.empty() || row.messages.back().role != "assistant" || row.messages.back().content.empty()) {
      refuse(row, "has no completion, expected \"prompt\" and \"completion\", or messages that end with the assistant's");
    }
    return;
  }
  if (metric != "exact-match" && metric != "rouge-l") {
    refuse(row,
           "has the metric \"" + metric + "\", expected \"exact-match\", \"rouge-l\", \"multiple-choice\" or \"perplexity\"");
  }
  const auto answers = answers_of(row.tags);
  const auto has_words = [](const std::string& answer) { return !rouge_words(answer).empty(); };
  if (metric == "rouge-l" && !answers.empty() && std::none_of(answers.begin(), answers.end(), has_words)) {
    refuse(row, "asks for ROUGE-L of an answer without Latin letters or digits, which are all that ROUGE-L compares here");
  }
  if (answers.empty()) refuse(row, "has no \"answer\", expected a text, or \"answers\" with a list of them");
  const std::string extract = tag_of(row, "extract");
  if (!extract.empty() && extract != "last-number") {
    refuse(row, "has extract = \"" + extract + "\", expected \"last-number\" or nothing");
  }
}

std::vector<Verdict> measure_tasks(const Dataset& rows, const LanguageModel& model) {
  std::vector<Conversation> asked;
  for (const auto& row : rows) {
    if (tag_of(row, "metric") == "perplexity") {
      asked.push_back(row.messages);
    } else {
      for (const auto& choice : texts_of(row.tags.at("choices"))) asked.push_back(with_reply(row.messages, choice));
    }
  }
  const auto scored = content_log_probs(model, asked);
  std::vector<Verdict> verdicts;
  std::size_t next = 0;
  for (const auto& row : rows) {
    if (tag_of(row, "metric") == "perplexity") {
      verdicts.push_back(perplexity_verdict(row, scored[next++]));
      continue;
    }
    const auto choices = texts_of(row.tags.at("choices"));
    std::vector<double> likelihoods;
    for (std::size_t i = 0; i < choices.size(); ++i, ++next) {
      likelihoods.push_back(std::accumulate(scored[next].begin(), scored[next].end(), 0.0));
    }
    verdicts.push_back(choice_verdict(row, choices, likelihoods));
  }
  return verdicts;
}

double rouge_l(const std::string& reply, const std::string& reference) {
  const auto found = rouge_words(reply);
  const auto wanted = rouge_words(reference);
  if (found.empty() || wanted.empty()) return 0;
  const auto common = static_cast<double>(longest_common(found, wanted));
  const double precision = common / static_cast<double>(found.size());
  const double recall = common / static_cast<double>(wanted.size());
  return common == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

std::unique_ptr<Judge> make_tasks_judge(Params&) { return std::make_unique<TasksJudge>(); }

}  // namespace holdfast
