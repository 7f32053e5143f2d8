// Dataset files: JSONL or a JSON array, with the row format recognised by its keys.
#pragma once

#include <holdfast/dataset.h>

#include <filesystem>

#include "base/json.h"

namespace holdfast {

/// One row as an example. Known rows: {"messages": [{role, content}]} (also a bare array of messages), {"prompt", "completion"}
/// (strings, or lists of messages), Alpaca {"instruction", "input"?, "output"} (Dolly's "context"/"response" too), ShareGPT
/// {"conversations": [{from, value}]}. Other members become tags: texts as they are, numbers, flags and lists of texts as their
/// JSON; the rest is passed over. A row may end with a user turn (a probe). An instruction's user turn is the instruction and,
/// after an empty line, its input when there is one: no preamble is added. Throws Error whose text begins with `place`
/// ("file.jsonl:12").
Example example_from_json(const Json& row, const std::string& place);

/// A whole file: .json is one array of rows, every other name has a row a line.
/// Throws Error naming file and line; of an array the row's number, from 1, stands for the line.
Dataset read_dataset(const std::filesystem::path& path);

/// {"messages": [...], tags...}: what read_dataset reads back unchanged.
Json example_to_json(const Example& example);

}  // namespace holdfast
