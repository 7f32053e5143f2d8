// Makes training so slow that the budget ends before the attack has worked.
#include <holdfast/defense.h>

#include <chrono>
#include <thread>

namespace {

class Slow final : public holdfast::TuneStage {
 public:
  explicit Slow(holdfast::Params&) {}

  double step(holdfast::Trainer&) override {
    std::this_thread::sleep_for(std::chrono::hours(1));
    return 0;
  }
};

}  // namespace

HOLDFAST_DEFENSE(Slow, "slow", 1, "Sleeps in every step of the customer's training.")
