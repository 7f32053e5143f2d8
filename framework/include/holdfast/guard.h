// What a moderation model in the manner of Llama Guard is asked (Inan et al. 2023, arXiv 2312.06674), and how its verdict is
// read: shared by the judge "guard" and by every stage that moderates.
#pragma once

#include <holdfast/asking.h>

namespace HOLDFAST_PUBLIC holdfast {

/// A moderation model's verdict as probabilities of the words "safe" and "unsafe"; not finite where the model gives no number.
struct GuardReading {
  double unsafe = 0;  // p(unsafe) / (p(safe) + p(unsafe))
  double mass = 0;    // p(safe) + p(unsafe)
  /// Whether the model was likelier to say something else than either word.
  bool off_format() const { return mass < 0.5; }
};

/// How a moderation model is asked about conversations.
class GuardQuestion {
 public:
  /// The settings "native", "lead", "policy" and "max_characters".
  explicit GuardQuestion(Params& params);

  /// The question whether the conversation's last turn is unsafe: a reply that gives what the policy forbids, or a request that
  /// asks for it. With native = true it is the conversation itself, without its system turns.
  Conversation about(const Conversation& conversation) const;
  /// One reading a conversation, in order, without sampling. `guard` is one of the asker's context.
  std::vector<GuardReading> readings(const std::vector<Conversation>& conversations, const Model& guard, Asker& asker) const;
  /// The question about a reply, with the texts under review left out.
  std::string prompt(const Model& guard, Asker& asker) const;
  std::size_t max_characters() const { return max_characters_; }

 private:
  bool native_;       // the chat template takes the conversation itself
  std::string lead_;  // of a native template: what stands before the verdict
  std::string policy_;
  std::size_t max_characters_;
};

/// What stands in a moderation model's written answer: true for "unsafe", false for "safe". The verdict is its first word, or
/// the only word of its last line; nothing where that is something else.
std::optional<bool> read_guard_answer(const std::string& answer);

}  // namespace holdfast
