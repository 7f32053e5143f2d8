// A file of rows, whatever its form. What is written of a row that was read says the same.
#include "data/formats.h"
#include "fuzz/fuzz.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  for (const Example& row : read_dataset(as_file(input))) {
    const Json written = example_to_json(row);
    must([&] { expect(example_to_json(example_from_json(written, row.origin)) == written, "a written row reads the same"); });
  }
}

const Added added("dataset_rows", read);

}  // namespace
}  // namespace holdfast::fuzz
