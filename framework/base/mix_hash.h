// Hashes of several values together, for the standard library's hash tables.
#pragma once

#include <cstddef>
#include <functional>

namespace holdfast {

template <typename Value>
void mix_hash(std::size_t& hash, const Value& value) {
  hash ^= std::hash<Value>()(value) + 0x9e3779b97f4a7c15ULL + (hash << 12) + (hash >> 4);
}

}  // namespace holdfast
