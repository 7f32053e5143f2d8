// Rows that methods teach beside the stage's own.
#pragma once

#include <holdfast/context.h>

namespace HOLDFAST_PUBLIC holdfast {

/// The defender's harmful rows: those of the corpus whose last reply is no refusal yet, through defender_rows(). Throws Error
/// for a row that does not end with a reply.
Dataset harmful_rows(const std::string& corpus, std::int64_t wanted, const std::string& who, Context& context);

/// Those alignment rows that are of kind "benign". Throws Error when there is none.
Dataset general_rows(Dataset alignment, const std::string& who);

/// One optimizer batch of two: its loss is the mean over the label tokens of both.
Batches pooled(Batches first, Batches second);

}  // namespace holdfast
