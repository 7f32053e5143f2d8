// Leases of the served store's queue by their names, as requests give them.
#pragma once

#include <string>
#include <vector>

#include "queue/queue.h"

namespace holdfast {

/// Whether a text may be the name of a worker: letters, digits and hyphens.
bool is_worker_name(const std::string& text);

/// The lease of that name in the store's queue, whether or not anybody holds it, without its work. Throws Refusal for what is
/// no lease's name: nothing else becomes part of a path.
Lease lease_named(const fs::path& store, const std::string& name);

/// Whether its folder is there still.
bool is_held(const Lease& lease);
/// What whoever uses a lost lease is told.
[[noreturn]] void refuse_lost(const Lease& lease);

}  // namespace holdfast
