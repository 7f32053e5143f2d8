// How deep the lists, objects and namespaces lie in each other that a chat template makes. The engine goes through them by
// calls of itself, to print, compare and free them: what is too deep, or holds itself, would end the process.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "jinja/value.h"

namespace holdfast {

/// Of one rendering. What one expression puts together is as deep as its text, and is looked at where a name is given to it.
class ValueNesting {
 public:
  static constexpr int kDeepest = 100;

  /// Before a value is kept: in `holder`, or under a name where that is null. Returns why it may not be, or nothing.
  std::string keep(const jinja::value& holder, const jinja::value& added);

 private:
  // How far below a root each was found at most. None is kept alive, and no other takes its place.
  struct Known {
    std::weak_ptr<jinja::value_t> value;
    int depth;
  };

  std::unordered_map<const jinja::value_t*, Known> known_;
};

}  // namespace holdfast
