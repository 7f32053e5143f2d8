// JSON, the way every floor writes it.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace holdfast {

using Json = nlohmann::json;  // objects keep their keys sorted, so dump() is canonical

/// The bytes that digests are made of: sorted keys, no white space, shortest round-trip numbers.
std::string canonical(const Json& value);

/// A name from a file as an error shows it: in quotes, with control characters escaped and no broken UTF-8, cut when long.
std::string in_quotes(const std::string& name);

/// Parses one JSON document. Throws Error naming `source` and the place of the fault.
Json parse_json(const std::string& text, const std::string& source);

/// Calls `row` with each non-empty line's value and its line number, from 1. Throws Error naming file and line.
void read_jsonl(const std::filesystem::path& path, const std::function<void(const Json&, std::int64_t)>& row);

}  // namespace holdfast
