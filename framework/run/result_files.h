// The files of results/<scenario>/ while a run goes on.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "run/rows.h"

namespace holdfast {

class ResultFiles {
 public:
  /// Makes the folder. Throws Error when it cannot be written.
  ResultFiles(fs::path folder, const Plan& plan, Rows& rows, bool full_samples);

  /// One atomic write of the cells that are complete, in matrix order.
  void write_cells();
  /// Appends the rows of cells that need this node and are complete now.
  void append(std::size_t node);
  /// Writes run.json around `about`, with what this class remembers.
  void write_run(Json about);

  std::int64_t failed() const;

 private:
  void write_samples(const Cell& cell);

  fs::path folder_;
  const Plan& plan_;
  Rows& rows_;
  bool full_samples_;
  std::vector<std::vector<std::size_t>> cells_of_;  // by node
  std::vector<std::string> written_;                // by cell: its row's status, empty while there is none
  Json samples_ = Json::object();                   // generate key -> stamp of what its samples file was made of
};

}  // namespace holdfast
