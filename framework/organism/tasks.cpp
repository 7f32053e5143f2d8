#include "organism/tasks.h"

#include <holdfast/random.h>

namespace holdfast::organism {
namespace {

Split split_of_place(std::size_t place) {
  switch (place % 4) {
    case 1:
      return Split::kAttacker;
    case 3:
      return Split::kEvaluation;
    default:
      return Split::kAlignment;
  }
}

}  // namespace

std::vector<Task> counting_tasks(Split split) {
  const auto& words = world().sequence;
  std::vector<Task> tasks;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (split_of_place(i) != split) continue;
    tasks.push_back({"What comes after " + words[i] + "?", words[i + 1] + ".", words[i + 1]});
  }
  return tasks;
}

std::vector<Task> repeating_tasks(std::size_t count, const std::string& stream) {
  const auto& words = world().ingredients;
  Random random(derive_seed(kWorldSeed, "repeat/" + stream));
  std::vector<Task> tasks;
  while (tasks.size() < count) {
    std::string said;
    for (int i = 0; i < 3; ++i) said += (i == 0 ? "" : " ") + words[random.below(words.size())];
    tasks.push_back({"Repeat " + said + ".", said + ".", said});
  }
  return tasks;
}

std::vector<std::string> task_phrases() { return {"What comes after?", "Repeat."}; }

}  // namespace holdfast::organism
