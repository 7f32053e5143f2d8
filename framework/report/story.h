// One cell told from its checkpoint to its judges, as text for a terminal.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "report/cell_address.h"
#include "results/sample.h"

namespace holdfast {

struct StoryView {
  std::int64_t replies = 5;  // how many of them; those that judges call harmful come first
  /// The text of a reply, by its probe's id; none: replies are shown by their digests.
  std::function<SampleText(const std::string& id, const SampleReply& reply)> text;
};

/// The row that the story is of: that of the seed, or the first that is ok where all seeds are asked about, or the first.
const RunRow& told_row(const NamedCell& cell);

/// Stages with what they read, cost and report; figures with their intervals and changes; training curves; replies; what to
/// type to make it again. `address`: the cell as the user named it.
std::string story(const NamedCell& cell, const std::string& address, const StoryView& view);

}  // namespace holdfast
