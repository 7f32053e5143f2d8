#include "service/seats.h"

#include "service/api_error.h"

namespace holdfast {
namespace {

constexpr int kRetrySeatAfter = 2;  // seconds

}  // namespace

std::shared_ptr<void> Seats::take(const std::string& customer) {
  const std::lock_guard lock(mutex_);
  int& mine = taken_by_[customer];
  if (mine >= most_of_one_) {
    throw too_many("you have " + std::to_string(mine) + " chats and streams of events under way, and may have no more",
                   kRetrySeatAfter);
  }
  if (taken_ >= most_)
    throw not_ready("too many chats and streams of events are under way: try again in a moment", kRetrySeatAfter);
  ++mine;
  ++taken_;
  return {nullptr, [this, customer](void*) { leave(customer); }};
}

void Seats::leave(const std::string& customer) {
  const std::lock_guard lock(mutex_);
  --taken_;
  if (--taken_by_[customer] == 0) taken_by_.erase(customer);
}

}  // namespace holdfast
