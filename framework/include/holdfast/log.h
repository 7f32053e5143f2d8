// One line of log to standard error; the front end decides what is shown.
#pragma once

#include <string>

namespace holdfast {

void log_info(const std::string& line);
void log_warning(const std::string& line);

}  // namespace holdfast
