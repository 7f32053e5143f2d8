#include "work/stage_data.h"

#include "data/formats.h"

namespace holdfast {

Dataset read_stage_data(const fs::path& path) {
  Dataset data;
  read_jsonl(path, [&](Json row, std::int64_t number) {
    const std::string origin = row.value("origin", "");
    row.erase("origin");
    data.push_back(example_from_json(row, path.string() + ":" + std::to_string(number)));
    data.back().origin = origin;
  });
  return data;
}

}  // namespace holdfast
