#include "report/file_names.h"

#include <algorithm>

namespace holdfast {

std::string as_folder(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  if (name.find_first_not_of('.') == std::string::npos) std::replace(name.begin(), name.end(), '.', '_');  // "..", "."
  return name;
}

fs::path cell_folder(const std::string& model, const std::string& attack, const std::string& defense) {
  return fs::path(as_folder(model)) / as_folder(attack) / as_folder(defense);
}

}  // namespace holdfast
