// A line of samples/<key>.jsonl: a reply with what the judges say of it; the schema, written and read here only
// (docs/results.md).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// The reply itself, in a run with --samples full.
struct SampleText {
  Json prompt;  // as conversations are stored
  std::string reply;
};

struct SampleReply {
  std::string sha256;
  std::uint64_t length = 0;             // in bytes
  std::optional<std::string> category;  // of the probe
  std::optional<SampleText> text;
};

struct Sample {
  std::string id;                          // of the probe
  std::string kind;                        // of the probe: "harmful", "benign", "borderline", "task"
  std::map<std::string, double> outcomes;  // by metric; one that is not finite is written as null and read as NaN
  std::optional<SampleReply> reply;        // none where a task was measured on the weights
};

Json to_json(const Sample& sample);

/// `place`: the file and line, for the error of what is no sample.
Sample sample(const Json& json, const std::string& place);

/// <results folder>/samples/<key>.jsonl.
fs::path samples_file(const fs::path& results_folder, const std::string& generate_key);

/// Calls `visit` with each sample of the file in order; never when there is no such file. Throws Error naming the line that is
/// no sample.
void read_samples(const fs::path& file, const std::function<void(const Sample&)>& visit);

}  // namespace holdfast
