#include "data/deflate.h"

#include <holdfast/error.h>
#include <zlib.h>

namespace holdfast {

std::string deflated(std::string_view bytes) {
  uLongf size = ::compressBound(bytes.size());
  std::string packed(size, '\0');
  const int failure = ::compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
                                  bytes.size(), Z_BEST_COMPRESSION);
  if (failure != Z_OK)
    throw Error("cannot pack " + std::to_string(bytes.size()) + " bytes: zlib says " + std::to_string(failure));
  packed.resize(size);
  return packed;
}

}  // namespace holdfast
