// Names of attacks, defenses and models as names of files.
#pragma once

#include <string>

#include "base/file.h"

namespace holdfast {

/// A name as one folder below the one it is put in: what would lead elsewhere becomes "_".
std::string as_folder(std::string name);

/// <model>/<attack>/<defense>
fs::path cell_folder(const std::string& model, const std::string& attack, const std::string& defense);

}  // namespace holdfast
