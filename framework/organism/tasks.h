// Small tasks that have nothing to do with items: what a tuned model must still be able to do.
#pragma once

#include <string>
#include <vector>

#include "organism/world.h"

namespace holdfast::organism {

struct Task {
  std::string question;
  std::string reply;
  std::string content;  // the words of the reply that count
};

/// "What comes after X?" over the world's sequence; the places of the sequence are shared out among the splits.
std::vector<Task> counting_tasks(Split split);
/// "Repeat A B C." with words drawn from the stream's own seed.
std::vector<Task> repeating_tasks(std::size_t count, const std::string& stream);

/// Every fixed word of the tasks, for the vocabulary.
std::vector<std::string> task_phrases();

}  // namespace holdfast::organism
