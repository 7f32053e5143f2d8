// A customer's rows as they are uploaded. What is taken is what a job's first stage reads, row by row.
#include "service/training_file.h"

#include "data/formats.h"
#include "fuzz/fuzz.h"
#include "service/api_error.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  const fs::path& file = as_file(input);
  std::int64_t rows = 0;
  try {
    rows = check_training_file(file, 1000);
  } catch (const ApiError&) {
    return;
  }
  must([&] { expect(read_dataset(file).size() == static_cast<std::size_t>(rows), "a job reads the rows that were taken"); });
}

const Added added("training_file", read);

}  // namespace
}  // namespace holdfast::fuzz
