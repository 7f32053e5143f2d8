// Benchmarks that bench.cpp registers, and what they share.
#pragma once

#include <holdfast/dataset.h>

#include <string>

namespace holdfast {

/// What a model of that source is trained on and asked.
Dataset rows_for(const std::string& source);

void add_matrix_cases();
void add_report_cases();
void add_gang_cases(const std::string& name, const std::string& source);
void add_stored_cases();

}  // namespace holdfast
