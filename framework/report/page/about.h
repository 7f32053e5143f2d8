// What was run, at the page's head and foot. No time and no machine: the same rows give the same page.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "report/results.h"

namespace holdfast {

/// run.json of each folder of the results, what is missing null.
class RunsAbout {
 public:
  explicit RunsAbout(const Results& results);

  /// "field", "quickstart + smollm2".
  const std::string& title() const { return title_; }
  std::string head() const;
  std::string provenance() const;

  /// {"attacks": {name: settings}, "defenses": {name: stack}}, as the scenarios have them.
  Json settings() const;
  /// The commands that make the rows again, a line each.
  std::string commands() const;
  /// Where the rows of the first run are, below the folder that runs are made in.
  std::string results_folder() const;

 private:
  /// Distinct names of a list of the scenarios, with commas.
  std::string names(const std::string& list) const;

  const Results& results_;
  std::vector<Json> runs_;
  std::vector<std::string> folders_;  // names of theirs
  std::string title_;
};

}  // namespace holdfast
