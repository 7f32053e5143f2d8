// Where a stage's request names files outside the store, wherever that stands in it.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace holdfast {

/// A file or folder by its path, with the digest that stands in the stage's key.
struct NamedSource {
  enum class Kind {
    kFile,        // a file or folder: content_digest (base/remembered_digest.h)
    kCheckpoint,  // a model: checkpoint_digest (learn/checkpoint.h)
  };
  Kind kind = Kind::kFile;
  std::string location;
  std::string digest;
  auto operator<=>(const NamedSource&) const = default;
};

/// Calls `visit` with every file that the stage's request, as JSON, names with its digest; built-in ones are none. Where
/// `visit` gives another location that one is written into the request, in settings of plugins too.
void each_source(Json& request, const std::function<std::string(const NamedSource&)>& visit);

}  // namespace holdfast
