// Drops nothing, and does to its worker what a scenario says.
#include <holdfast/defense.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

namespace {

class Misbehaving final : public holdfast::ScreenStage {
 public:
  explicit Misbehaving(holdfast::Params& params)
      : how_(params.choice("how", "throw", {"throw", "crash", "hang"}, "what happens in screen()")) {}

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context&) override {
    if (how_ == "throw") throw std::runtime_error("thrown on purpose");
    if (how_ == "crash") std::raise(SIGSEGV);
    if (how_ == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
    return data;
  }

 private:
  std::string how_;
};

}  // namespace

HOLDFAST_DEFENSE(Misbehaving, "misbehaving", 1, "Throws, crashes or hangs.")
