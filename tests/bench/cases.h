// Benchmarks that bench.cpp registers.
#pragma once

namespace holdfast {

void add_matrix_cases();
void add_report_cases();

}  // namespace holdfast
