// The symbols of a shared library, which are read before any of its code runs.
#include "fuzz/fuzz.h"
#include "plugin/exports.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) { exported_symbols(as_file(input)); }

const Added added("elf", read);

}  // namespace
}  // namespace holdfast::fuzz
