// The files of results/<scenario>/ while a run goes on.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "results/run_facts.h"
#include "run/rows.h"

namespace holdfast {

class ResultFiles {
 public:
  /// Makes the folder. Throws Error when it cannot be written.
  ResultFiles(fs::path folder, const Plan& plan, Rows& rows, bool full_samples);

  /// One atomic write of the cells that are complete, in matrix order, with their samples.
  void write_cells();
  /// When a stage is done or has failed, after the first write_cells(): appends the rows of cells that need it and are complete
  /// now, and writes their samples. Costs the number of those cells, not of their stages.
  void append(std::size_t node);
  /// Writes stages.jsonl and curves/: every distinct stage that is done.
  void write_stages();
  /// Writes run.json around `about`: `facts`, and beside them what this class remembers.
  void write_run(Json about, RunFacts facts);

  std::int64_t failed() const;

 private:
  // The row of a cell as its line, empty while there is none.
  struct Line {
    std::string text;
    bool ok = false;
    std::size_t keys_hash = 0;  // of what it was made of
  };

  void count_open();
  void write(std::size_t cell);
  void write_samples(const Cell& cell);

  fs::path folder_;
  const Plan& plan_;
  Rows& rows_;
  bool full_samples_;
  std::vector<std::vector<std::size_t>> cells_of_;  // by node
  std::vector<bool> counted_;                       // by node: it has been done once
  std::vector<std::size_t> open_;                   // by cell: its stages that have not
  std::vector<Line> lines_;                         // by cell
  std::map<std::string, std::string> samples_;      // generate key -> stamp of what its samples file was made of
};

}  // namespace holdfast
