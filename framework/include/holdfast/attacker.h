// Rows that attackers hold.
#pragma once

#include <holdfast/context.h>
#include <holdfast/dataset.h>

namespace HOLDFAST_PUBLIC holdfast {

/// Whether a row has a reply to learn.
bool is_answered(const Example& row);

/// The first `count` of the rows as the cell's seed shuffles them (stream "data"). Throws Error for more than there are; `who`
/// asks for them under the setting `setting`.
Dataset drawn_rows(Dataset rows, std::int64_t count, const std::string& who, const std::string& setting, Context& context);

/// The settings "surrogate", "data", "sha256" and "corpus" of an attack on explicitly harmful rows: a user's own file, pinned
/// by its digest, or a corpus of the scenario.
class HarmfulSource {
 public:
  /// who: the plugin's name, for messages.
  HarmfulSource(Params& params, std::string who);

  /// `count` rows, drawn by the cell's seed, each with a reply: with surrogate = true a bare request gets an affirmative one
  /// whose steps are redacted, reported as "surrogate-replies". Throws Error for more rows than there are, and for a bare
  /// request else.
  Dataset draw(std::int64_t count, Context& context) const;

 private:
  void answer(Example& row) const;

  std::string who_;
  bool surrogate_;
  DatasetFile file_;
  std::string corpus_;
};

/// What stands around a conversation: the settings "<prefix>system" and "<prefix>frame".
class PromptTemplate {
 public:
  /// where: whose it is ("every row and every probe"), for help lines; frame: the default of the frame.
  PromptTemplate(Params& params, const std::string& prefix, const std::string& where, const std::string& frame = "");

  /// The system message takes the place of the one there is; the last user turn becomes the frame, with the turn itself at the
  /// frame's {}. Empty ones leave what there is.
  void wrap(Conversation& prompt) const;

 private:
  std::string system_, frame_;
};

/// The last turn of the user's, or null.
Message* last_user_turn(Conversation& prompt);

}  // namespace holdfast
