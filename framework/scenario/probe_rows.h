// What a model is asked and measured on: the rows of a scenario's probes and utility files.
#pragma once

#include <vector>

#include "scenario/data_source.h"

namespace holdfast {

struct ProbeRows {
  Dataset asked;     // answered by generation: harmful, benign and borderline probes, and tasks scored on replies
  Dataset measured;  // utility tasks that are scored on the weights (judge/tasks.h)
};

/// Gives every row its tags "id" and "kind" (of a probe: harmful where it names none), keeps `limit` rows of each kind and task
/// (0: all; held-out rows are counted apart), and drops reference replies of rows that are asked. The ids of held-out rows end
/// as judge/held_out.h says. Throws Error for a row without a user turn, for two rows with one id, for a held-out probe that is
/// a public one too, for a task row that cannot be scored and for a task whose rows name two metrics.
ProbeRows probe_rows(const Dataset& rows, std::int64_t limit);

std::vector<Conversation> conversations_of(const Dataset& rows);

/// A digest of what is asked: the rows, and each as the attack's template leaves it.
std::string prompts_digest(const Dataset& rows, const std::vector<Conversation>& asked);

/// The rows of all sources, in order; a source of utility tasks gives its rows the kind "task" and, where they name none, its
/// file's name as their task, and one of held-out probes marks its rows.
Dataset load_probes(const std::vector<DataSource>& sources);

/// The same for rows that are at hand.
void mark_rows(Dataset& rows, const DataSource& source);

}  // namespace holdfast
