// How much memory this process may still take.
#pragma once

#include <cstdint>

namespace holdfast {

/// Bytes: what the machine can give without swapping, within this process's limit of data; the largest number where neither is
/// known.
std::uint64_t free_memory();

}  // namespace holdfast
