// Rows as tokens, and what of them cannot be learned.
#pragma once

#include "learn/language_model.h"

namespace holdfast {

struct EncodedRows {
  std::vector<Encoded> rows;    // in the order of the dataset
  std::int64_t cut = 0;         // longer than max_length: the end, and with it the end of the last turn, is gone
  std::int64_t cut_bare = 0;    // of these, rows whose every token to learn lay beyond the cut
  std::int64_t unanswered = 0;  // without an assistant turn that is learned
  std::int64_t blank = 0;       // with one of which the chat template shows nothing that is learned
  std::int64_t left_out() const { return cut_bare + unanswered + blank; }
};

/// Whether the row has a token to learn.
bool teaches(const Encoded& row);

/// Every row's tokens, cut to max_length (0: whole). Throws Error that begins with a row's origin, or with its number where it
/// has none, when the chat template refuses it.
EncodedRows encode_rows(const Model& model, const Dataset& data, std::int64_t max_length);

/// What was cut and what has nothing to learn, one sentence a reason; none when all is well.
std::vector<std::string> remarks(const EncodedRows& encoded, std::int64_t max_length);

/// Throws Error with the reasons when no row has a token to learn.
void check_teaches(const EncodedRows& encoded, std::int64_t max_length);

/// The row's origin, or "row 12" for the one at index 11.
std::string name_of(const Example& example, std::size_t index);

}  // namespace holdfast
