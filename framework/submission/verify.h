// Whether a submission is what it says: its digests and rules, and a tenth of its cells run anew.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "submission/package.h"

namespace holdfast {

struct VerifyOptions {
  fs::path scenario;        // the same file where the paths in it lead; empty: the packed one
  Json board;               // as for packing
  fs::path results, store;  // of the cells that are run anew; empty: a folder that is gone at the end
  std::vector<std::string> plugin_path;
  fs::path program;  // as RunOptions
};

struct Verification {
  std::vector<std::string> differences;  // none: verified
  std::vector<std::string> cells;        // that were run anew
  bool same_machine = false;             // figures had to be equal; else within the noise floor
};

/// Looks at digests first, then at rules, then at plugins and the scenario; only what holds so far is run. `say` gets a line
/// before the cells are run. Throws Error for what is no submission, and where the scenario cannot be run here.
Verification verify(const Package& package, const VerifyOptions& options, const std::function<void(const std::string&)>& say);

/// A tenth of the rows that are ok, at least three, drawn from the submission's own digest: nobody chooses them.
std::vector<CellName> drawn_cells(const std::vector<CellRow>& rows, const std::string& digest);

/// What differs between a row and the same cell run anew. On the same machine everything must be equal; elsewhere a figure may
/// differ by the seed noise of its column among `rows`, of one seed, and by one reply.
std::vector<std::string> differences(const CellRow& row, const CellRow& again, const std::vector<CellRow>& rows,
                                     bool same_machine);

}  // namespace holdfast
