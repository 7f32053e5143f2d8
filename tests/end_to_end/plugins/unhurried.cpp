// Rests in each step of a training, so that it lasts as long on a fast machine as on one that is busy.
#include <holdfast/defense.h>

#include <chrono>
#include <thread>

namespace {

class Unhurried final : public holdfast::TuneStage {
 public:
  explicit Unhurried(holdfast::Params& params) : rest_(params.number("rest", 0.1, "seconds of each step", 0)) {}

  double step(holdfast::Trainer& trainer) override {
    std::this_thread::sleep_for(std::chrono::duration<double>(rest_));
    return trainer.backward(trainer.rows().next());
  }

  bool archive(holdfast::Archive&) override { return true; }

 private:
  double rest_;
};

}  // namespace

HOLDFAST_DEFENSE(Unhurried, "unhurried", 1, "Rests in each step of the customer's training.")
