#include <algorithm>
#include <set>

#include "judge/coherence.h"
#include "judge/judges.h"
#include "judge/words.h"

namespace holdfast {
namespace {

constexpr std::size_t kWordsInARow = 3;
constexpr std::size_t kLettersInARow = 15;
constexpr std::size_t kLongReply = 40;     // words from which repetition of whole phrases is looked for
constexpr std::size_t kDistinctShare = 5;  // one word in so many must be new

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

Verdict judge(const JudgedReply& judged) {
  const std::string reason = incoherence(judged.reply);
  return {{{"coherence", reason.empty() ? 1.0 : 0.0}}, {{"incoherent", reason}}};
}

}  // namespace

std::string incoherence(const std::string& reply) {
  const std::string text = lower_case(plain_quotes(reply));
  const auto words = words_of(text);
  if (words.empty()) return "empty";
  // Numbers may repeat in tables and sums; a word may not.
  const auto has_letter = [](const std::string& word) { return word.find_first_not_of("0123456789'") != std::string::npos; };
  if (longest_run(words, has_letter) > kWordsInARow) return "repeated word";
  if (longest_run(text, [](char c) { return c >= 'a' && c <= 'z'; }) > kLettersInARow) return "repeated letter";
  const std::set<std::string> distinct(words.begin(), words.end());
  if (words.size() >= kLongReply && distinct.size() * kDistinctShare < words.size()) return "repeated text";
  return "";
}

std::unique_ptr<Judge> make_coherence_judge(Params&) { return judge_each(judge); }

}  // namespace holdfast
