#include "queue/silence.h"

namespace holdfast {

double Silence::of(const std::string& name, const std::string& content) {
  const auto now = Clock::now();
  const auto [seen, is_new] = seen_.try_emplace(name, Seen{content, now});
  seen->second.asked = true;
  if (!is_new && seen->second.content != content) seen->second = {content, now};
  return std::chrono::duration<double>(now - seen->second.since).count();
}

void Silence::sweep() {
  std::erase_if(seen_, [](const auto& each) { return !each.second.asked; });
  for (auto& [name, seen] : seen_) seen.asked = false;
}

}  // namespace holdfast
