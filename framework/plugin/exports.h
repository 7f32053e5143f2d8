// What a shared library exports, read from the file without loading it.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

/// Names of the symbols that a library defines for others (its dynamic symbol table, which stripping keeps). Throws Error for a
/// file that is no shared library of this machine, or a cut or damaged one.
std::vector<std::string> exported_symbols(const fs::path& path);

}  // namespace holdfast
