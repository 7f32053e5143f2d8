#include "run/stage_links.h"

namespace holdfast {

StageLinks::StageLinks(const Plan& plan) {
  const std::size_t count = plan.nodes.size();
  reads_.begins.reserve(count + 1);
  readers_.begins.assign(count + 1, 0);
  for (std::size_t id = 0; id < count; ++id) {
    reads_.begins.push_back(reads_.nodes.size());
    for (const std::size_t read : plan.read_by(id)) {
      reads_.nodes.push_back(static_cast<std::uint32_t>(read));
      ++readers_.begins[read + 1];
    }
  }
  reads_.begins.push_back(reads_.nodes.size());
  for (std::size_t id = 0; id < count; ++id) readers_.begins[id + 1] += readers_.begins[id];
  readers_.nodes.resize(reads_.nodes.size());
  std::vector<std::size_t> next(readers_.begins.begin(), readers_.begins.end() - 1);
  for (std::size_t id = 0; id < count; ++id) {
    for (const std::uint32_t read : reads(id)) readers_.nodes[next[read]++] = static_cast<std::uint32_t>(id);
  }
}

}  // namespace holdfast
