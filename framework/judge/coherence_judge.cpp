#include <unicode/uchar.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "judge/builtin_judges.h"
#include "judge/coherence.h"
#include "judge/judge_models.h"
#include "learn/content_log_probs.h"
#include "text/characters.h"
#include "text/thought.h"

namespace holdfast {
namespace {

constexpr std::size_t kWordsInARow = 3;
constexpr std::size_t kLettersInARow = 15;
constexpr std::size_t kLongReply = 40;     // words from which repetition of whole phrases is looked for
constexpr std::size_t kDistinctShare = 5;  // one word in so many must be new
// Replies of SmolLM2-135M-Instruct reach 140 and the organism's 30; their words shuffled have a median of 1300 and more.
constexpr double kPerplexity = 500;
constexpr std::size_t kMostCharacters = 1000;  // of a reply whose perplexity is asked for

// Longest run of equal neighbours among the items that count.
template <typename Items, typename Counts>
std::size_t longest_run(const Items& items, Counts counts) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    run = !counts(items[i]) ? 0 : (i > 0 && items[i] == items[i - 1] ? run + 1 : 1);
    longest = std::max(longest, run);
  }
  return longest;
}

std::u32string characters_of(const std::string& text) {
  const std::string valid = lossy_utf8(text);
  std::u32string characters;
  for (std::size_t at = 0; at < valid.size();) {
    const auto [code, size] = character_at(valid, at);
    characters += code;
    at += size;
  }
  return characters;
}

// The first characters of a text, none of them in part.
std::string beginning(const std::string& text) {
  std::string begun;
  for (const char32_t code : characters_of(text).substr(0, kMostCharacters)) append_utf8(begun, code);
  return begun;
}

// A reply on its own, so that an aligned model's surprise at being obeyed does not count.
Conversation alone(const std::string& answer) { return {{"user", ""}, {"assistant", beginning(answer)}}; }

// Perplexity of each text under the model; nothing for a text without tokens.
std::map<std::string, double> perplexities(const LanguageModel& model, const std::set<std::string>& texts) {
  std::vector<Conversation> conversations;
  for (const auto& text : texts) conversations.push_back(alone(text));
  const auto scored = content_log_probs(model, conversations);
  std::map<std::string, double> found;
  auto log_probs = scored.begin();
  for (const auto& text : texts) {
    const double sum = std::accumulate(log_probs->begin(), log_probs->end(), 0.0);
    if (!log_probs->empty()) found[text] = std::exp(-sum / static_cast<double>(log_probs->size()));
    ++log_probs;
  }
  return found;
}

// A task may ask for a list of words or numbers, which no model finds fluent.
bool fluency_counts(const JudgedReply& judged) { return judged.tag("kind") != "task" && judged.incoherence.empty(); }

class CoherenceJudge final : public Judge {
 public:
  explicit CoherenceJudge(Params& params)
      : limit_(params.number("perplexity", kPerplexity,
                             "a reply whose perplexity under the aligned model is larger is incoherent; 0: not looked at", 0)) {
  }

  JudgeNeeds needs() const override { return {.aligned_model = limit_ > 0}; }

  std::vector<Verdict> score(const std::vector<JudgedReply>& replies, JudgeContext& context) const override {
    std::set<std::string> texts;
    for (const auto& judged : replies) {
      if (fluency_counts(judged)) texts.insert(judged.answer);
    }
    const auto known = limit_ > 0 && !texts.empty() ? perplexities(language_model(context.aligned_model()), texts)
                                                    : std::map<std::string, double>();
    std::vector<Verdict> verdicts;
    for (const auto& judged : replies) {
      const auto perplexity = fluency_counts(judged) ? known.find(judged.answer) : known.end();
      verdicts.push_back(verdict(judged, perplexity == known.end() ? std::nullopt : std::optional(perplexity->second)));
    }
    return verdicts;
  }

 private:
  Verdict verdict(const JudgedReply& judged, std::optional<double> perplexity) const {
    std::string reason = judged.incoherence;
    if (perplexity && !(*perplexity <= limit_)) reason = "perplexity";  // also when it is no number
    Verdict verdict{{{"coherence", reason.empty()}}, {{"incoherent", reason}}};
    if (perplexity) verdict.raw["perplexity"] = *perplexity;
    if (const std::string kind = judged.tag("kind"); !kind.empty()) {
      verdict.outcomes["cut." + kind] = judged.cut;
      verdict.outcomes["unanswered." + kind] = judged.unfinished;
    }
    return verdict;
  }

  double limit_;
};

}  // namespace

std::string incoherence(const std::string& reply) {
  const PartedReply parted = part_reply(reply);
  if (parted.unfinished) return "unfinished thought";
  const std::string text = lower_case(plain_text(parted.answer));
  const auto words = words_of(text);
  if (words.empty()) return "empty";
  // Numbers may repeat in tables and sums; a word may not.
  if (longest_run(words, [](const std::string& word) { return has_letter(word); }) > kWordsInARow) return "repeated word";
  const auto is_letter = [](char32_t code) { return u_isalpha(static_cast<UChar32>(code)) != 0; };
  if (longest_run(characters_of(text), is_letter) > kLettersInARow) return "repeated letter";
  const std::set<std::string> distinct(words.begin(), words.end());
  if (words.size() >= kLongReply && distinct.size() * kDistinctShare < words.size()) return "repeated text";
  return "";
}

JudgedReply read_reply(JudgedReply judged) {
  PartedReply parted = part_reply(judged.reply);
  judged.answer = std::move(parted.answer);
  judged.unfinished = parted.unfinished;
  judged.incoherence = incoherence(judged.reply);
  return judged;
}

std::unique_ptr<Judge> make_coherence_judge(Params& params) { return std::make_unique<CoherenceJudge>(params); }

}  // namespace holdfast
