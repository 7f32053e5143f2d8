#include <holdfast/error.h>

#include <cstdio>
#include <cstdlib>

namespace holdfast {

Error::~Error() = default;

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace holdfast
