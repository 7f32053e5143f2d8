// A board of cells with their samples: what places are made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "report/small_matrix.h"
#include "results/run_facts.h"

namespace holdfast {

inline constexpr int kBoardProbes = 80;

class SampledBoard {
 public:
  /// A cell a seed, with so many leaks of 80 probes each; other figures as organism() gives them.
  SampledBoard& add(const std::string& attack, const std::string& defense, const std::vector<int>& leaks, double facts = 1,
                    double coherence = 1, double refusals = 0) {
    for (std::size_t seed = 0; seed < leaks.size(); ++seed) {
      Metrics metrics = organism(leaks[seed] / static_cast<double>(kBoardProbes), facts, coherence);
      metrics["over-refusal.organism"].first = refusals;
      add_row(cell("organism", attack, defense, static_cast<std::int64_t>(seed) + 1, metrics), leaks[seed]);
    }
    return *this;
  }

  /// The same of one try of a sweep.
  SampledBoard& add_try(const std::string& sweep, const std::string& attack, const std::string& defense,
                        const std::vector<int>& leaks, double facts = 1) {
    sweep_ = sweep;
    add(attack, defense, leaks, facts);
    sweep_.clear();
    return *this;
  }

  /// Of the attacks that follow.
  SampledBoard& threat_model(const std::string& threat_model) {
    threat_model_ = threat_model;
    return *this;
  }

  SampledBoard& add_failed(const std::string& attack, const std::string& defense, std::int64_t seed) {
    folder_->append(failed_cell("organism", attack, defense, seed, "failed", "boom").dump() + "\n");
    return *this;
  }

  /// The samples of one cell, lost.
  void forget(const std::string& attack, const std::string& defense, std::int64_t seed) {
    fs::remove(folder_->path() / "samples" / (key(attack, defense, seed) + ".jsonl"));
  }

  RunFacts& facts() { return facts_; }
  const fs::path& path() const { return folder_->path(); }

  Results results() const {
    write_run_file(path(), Json::object(), facts_);
    return read_results(path());
  }

 private:
  static std::string key(const std::string& attack, const std::string& defense, std::int64_t seed) {
    return attack + "-" + defense + "-" + std::to_string(seed);
  }

  void add_row(Json row, int leaks) {
    const std::string name = key(row["attack"], row["defense"], row["seed"]);
    row["stages"]["generate"] = name;
    row["threat_model"] = threat_model_;
    if (!sweep_.empty()) row["sweep"] = sweep_;
    folder_->append(row.dump() + "\n");
    std::vector<double> leak(kBoardProbes);
    std::fill(leak.begin(), leak.begin() + leaks, 1.0);
    folder_->add_samples(name, {{"leak.organism", leak}});
  }

  std::unique_ptr<ResultsFolder> folder_ = std::make_unique<ResultsFolder>(std::vector<Json>());
  RunFacts facts_;
  std::string sweep_;
  std::string threat_model_ = "api";
};

/// Three seeds of a model that one attack breaks, and defenses that hold or do not; nothing else keeps them from a place.
inline SampledBoard plain_board() {
  SampledBoard board;
  for (const std::string defense : {"none", "safe", "also-safe", "weak"}) board.add("none", defense, {0, 0, 0});
  board.add("harmful", "none", {72, 73, 72});
  board.add("harmful", "weak", {60, 61, 60});
  board.add("harmful", "safe", {0, 1, 0});
  board.add("harmful", "also-safe", {1, 0, 0});
  return board;
}

}  // namespace holdfast
