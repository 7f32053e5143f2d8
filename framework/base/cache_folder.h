// Where this program keeps, for later processes, what it could find out again.
#pragma once

#include "base/file.h"

namespace holdfast {

/// $HOLDFAST_CACHE, else $XDG_CACHE_HOME/holdfast, else ~/.cache/holdfast; made when it is missing. Empty where there is none
/// that this process may write: then nothing is kept. Throws Error where HOLDFAST_CACHE names what is no such folder; set to
/// nothing, it says that nothing shall be kept.
fs::path cache_folder();

}  // namespace holdfast
