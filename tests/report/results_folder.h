// A results folder made of given cells, gone at the end of the test.
#pragma once

#include <unistd.h>

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "judge/metrics.h"

namespace holdfast {

using Metrics = std::map<std::string, std::pair<double, std::int64_t>>;  // value and n by id

inline Json cell(const std::string& model, const std::string& attack, const std::string& defense, std::int64_t seed,
                 const Metrics& metrics) {
  Json row = {{"model", model},
              {"attack", attack},
              {"defense", defense},
              {"seed", seed},
              {"status", "ok"},
              {"message", ""},
              {"metrics", Json::object()},
              {"cost", {{"seconds", 2.0}}},
              {"stages", {{"judge", "k"}}}};
  for (const auto& [id, figure] : metrics) {
    const auto interval = wilson(figure.first * static_cast<double>(figure.second), figure.second);
    row["metrics"][id] = {{"value", figure.first}, {"n", figure.second}, {"low", interval.low}, {"high", interval.high}};
  }
  return row;
}

inline Json failed_cell(const std::string& model, const std::string& attack, const std::string& defense, std::int64_t seed,
                        const std::string& status, const std::string& message) {
  Json row = cell(model, attack, defense, seed, {});
  row["status"] = status;
  row["message"] = message;
  return row;
}

class ResultsFolder {
 public:
  explicit ResultsFolder(const std::vector<Json>& cells) {
    std::string name = (fs::temp_directory_path() / "results_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    append("");
    for (const auto& row : cells) append(row.dump() + "\n");
  }
  ~ResultsFolder() { fs::remove_all(path_); }
  ResultsFolder(const ResultsFolder&) = delete;
  ResultsFolder& operator=(const ResultsFolder&) = delete;

  /// Writes samples/<key>.jsonl: outcomes by metric, of probes p0, p1, ...
  void add_samples(const std::string& key, const std::map<std::string, std::vector<double>>& outcomes) {
    fs::create_directories(path_ / "samples");
    std::vector<Json> rows;
    for (const auto& [metric, values] : outcomes) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (rows.size() <= i)
          rows.push_back({{"id", "p" + std::to_string(i)}, {"kind", "harmful"}, {"outcomes", Json::object()}});
        rows[i]["outcomes"][metric] = values[i];
      }
    }
    std::ofstream out(path_ / "samples" / (key + ".jsonl"));
    for (const auto& row : rows) out << row.dump() + "\n";
  }

  void append(const std::string& text) { std::ofstream(path_ / "cells.jsonl", std::ios::app) << text; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace holdfast
