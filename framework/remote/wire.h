// What the store's server and its clients share.
#pragma once

#include <cstddef>

namespace holdfast {

/// The header that names the lease under which a request is made.
inline constexpr const char* kLeaseHeader = "Holdfast-Lease";
/// The header of an answer from /ac that is a stage's manifest: its kind. What clients put there themselves comes without.
inline constexpr const char* kStageHeader = "Holdfast-Stage";
inline constexpr const char* kJson = "application/json";
/// Bytes that are handed on at a time.
inline constexpr std::size_t kPiece = 1 << 20;

}  // namespace holdfast
