// Benchmarks that bench.cpp registers.
#pragma once

namespace holdfast {

void add_matrix_cases();

}  // namespace holdfast
