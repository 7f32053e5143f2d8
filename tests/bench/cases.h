// Benchmarks that bench.cpp registers.
#pragma once

#include <string>

namespace holdfast {

void add_matrix_cases();
void add_report_cases();
void add_gang_cases(const std::string& name, const std::string& source);
void add_stored_cases();

}  // namespace holdfast
