// A chat template is a program that comes with a model: what it may not do while it renders.
#pragma once

#include <cstdint>

#include "jinja/runtime.h"

namespace holdfast {

struct TemplateLimits {
  std::int64_t steps =
      200'000;  // turns of loops and calls of macros in one rendering; a long conversation takes some thousands
  std::int64_t factor = 100'000;  // the largest number that range() counts to and that products have
};

/// For all renderings of this process that begin from now on. Without it they have those above.
void set_template_limits(const TemplateLimits& limits);

/// Adds to every macro, loop, product and assignment of a program, and to what lists take in, what checks the limits of a
/// Rendering. Positions in messages stay.
void add_limits(jinja::program& program);

/// One rendering by this thread, for as long as it lives: a program with limits that calls itself too deep, goes through its
/// loops and macros too often, makes a text or list too long or lays values too deep into each other (chat_template_nesting.h)
/// throws in it, as raise_exception does, and names what it did.
class Rendering {
 public:
  /// `context` gets the functions that have limits.
  explicit Rendering(jinja::context& context);
  ~Rendering();
  Rendering(const Rendering&) = delete;
  Rendering& operator=(const Rendering&) = delete;
};

}  // namespace holdfast
