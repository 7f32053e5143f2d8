// Moderation, shared by every filter: by listed phrases, by a probe on the aligned model's hidden states, by a moderation
// model, or by a service.
#pragma once

#include <holdfast/context.h>
#include <holdfast/guard.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// Logistic regression on the aligned model's mean final hidden state of a request (user turn alone), fitted on the alignment
/// rows (kind "harmful" against the rest), a fifth of them held out.
class HarmProbe {
 public:
  /// What stands for each request where it is not that state: (B, C).
  using Features = std::function<at::Tensor(const std::vector<std::string>& requests)>;

  /// Fits with Newton steps on standardised features and an L2 penalty, over the rows (at most 640) and not the features;
  /// deterministic. Throws Error when one class is missing.
  static HarmProbe fit(const Model& aligned, const Dataset& alignment, std::uint64_t seed);
  /// The one of the context's aligned model and cell, fitted once for all stages of a store (Context::kept_of_aligned).
  static HarmProbe fit(Context& context, const Dataset& alignment);
  /// The same on other features (adaptive KL, arXiv 2602.17546).
  static HarmProbe fit(const Features& features, const Dataset& alignment, std::uint64_t seed);

  /// Probability of harm of each text, taken as a user turn.
  std::vector<double> scores(const Model& aligned, const std::vector<std::string>& texts) const;
  /// Of each row of features, (B, C).
  std::vector<double> scores(const at::Tensor& features) const;

  double precision() const { return precision_; }  // on the held-out rows, at 0.5
  double recall() const { return recall_; }
  std::int64_t held_out() const { return held_out_; }

 private:
  std::vector<double> numbers() const;
  static HarmProbe from_numbers(const std::vector<double>& numbers);

  std::vector<double> mean_, scale_, weights_;  // (C), (C), (C + 1) with the bias last
  double precision_ = 0, recall_ = 0;
  std::int64_t held_out_ = 0;
};

/// The moderation settings of a filter plugin and the decisions they make. What each moderator is shown:
///              a row                          a request              a reply
///   phrases    its user turns and replies     its last user turn     the reply
///   probe      its user turns                 its last user turn     the reply, and the last user turn: either is enough
///   guard      each reply with what stands    the whole prompt       the whole prompt and the reply
///              before it: one is enough
///   endpoint   the same of a chat model; a    the whole prompt       the whole prompt and the reply
///              service, the row as one text
class Moderator {
 public:
  /// who: the plugin's name, for messages.
  Moderator(Params& params, std::string who);
  /// kNeedsAligned for a probe.
  unsigned needs() const { return by_ == By::kProbe ? kNeedsAligned : 0; }

  // Which of them are flagged, in order; nothing is asked where there are none. A probe reports its held-out precision and
  // recall, and counts its rows as defender-rows; a guard reports "guard.off-format" (GuardReading), an endpoint
  // "endpoint.declined" (texts that it would not look at, which are flagged) and, a chat model, "endpoint.unread" (answers that
  // say neither word, twice: those texts pass). Throws Error when no answer could be read, and as Asker says.
  std::vector<bool> flagged_rows(const Dataset& rows, Context& context) const;
  std::vector<bool> flagged_requests(const std::vector<Exchange>& exchanges, Context& context) const;
  std::vector<bool> flagged_replies(const std::vector<Exchange>& exchanges, Context& context) const;

  /// Published moderators, for a filter's card.
  static std::vector<Preset> presets();

 private:
  enum class By { kPhrases, kProbe, kGuard, kEndpoint };
  static By read_by(Params& params);
  void check(Params& params) const;
  const HarmProbe& probe(Context& context) const;
  std::vector<bool> flagged_texts(const std::vector<std::string>& texts, Context& context) const;
  std::vector<bool> flagged_conversations(const std::vector<Conversation>& conversations, Context& context) const;
  std::vector<bool> by_guard(const std::vector<Conversation>& conversations, Context& context) const;
  std::vector<bool> by_chat(const std::vector<Conversation>& conversations, Context& context) const;
  std::vector<bool> by_service(const std::vector<Conversation>& conversations, Context& context) const;
  bool looks_at_texts() const { return by_ == By::kPhrases || by_ == By::kProbe; }

  std::string who_;
  By by_;
  std::vector<std::string> phrases_;  // lower case
  double threshold_;
  std::int64_t rows_;  // of the probe
  std::filesystem::path guard_;
  GuardQuestion question_;
  bool chats_;      // the endpoint is a chat model, and no moderation service
  bool by_scores_;  // of a service: its scores decide, and not its flag
  AskOptions asking_;
  mutable std::optional<HarmProbe> probe_;  // fitted once
};

}  // namespace holdfast
