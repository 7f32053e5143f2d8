// Rows of data sets, recognised by their keys.
#pragma once

#include <holdfast/dataset.h>

#include <filesystem>

#include "base/json.h"

namespace holdfast {

/// One row as an example. Conversations: {"messages"} or {"conversations"} (lists of {role, content} or ShareGPT's {from,
/// value}, contents also as lists of text parts; or LIMA's list of texts), or a bare list of messages. Else what is asked
/// ("prompt", "instruction" with "input" or "context" below it after an empty line and without a preamble, "question", "query",
/// "goal") and its reply ("completion", "response", "output", "answer", "target"), which a probe lacks. "system" and
/// LLaMA-Factory's "history" are turns; a message of "weight" 0 or "train" false is context and not learned. Keys that are
/// known to describe a row (data/row_keys.h), members of an object "tags" and keys that begin with "tags." become tags: texts
/// as they are, else their JSON. Every other key that says something is refused. Throws Error whose text begins with `place`
/// ("file.jsonl:12"), the origin of the example.
Example example_from_json(const Json& row, const std::string& place);

/// A whole file in any of the forms of data/row_file.h. Throws Error naming file and row, and when there is none.
Dataset read_dataset(const std::filesystem::path& path);

/// {"messages": [...], "tags": {...}}, without the origin: what example_from_json reads back equal.
Json example_to_json(const Example& example);

}  // namespace holdfast
