// Drops nothing, and does to its process what a scenario says.
#include <holdfast/defense.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace {

class Misbehaving final : public holdfast::ScreenStage {
 public:
  explicit Misbehaving(holdfast::Params& params)
      : how_(params.choice("how", "throw", {"throw", "throw-number", "crash", "exit", "hang"}, "what happens")) {
    if (params.flag("when_made", false, "it happens in the constructor, else in screen()")) misbehave();
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context&) override {
    misbehave();
    return data;
  }

 private:
  void misbehave() const {
    if (how_ == "throw") throw std::runtime_error("thrown on purpose");
    if (how_ == "throw-number") throw 42;
    if (how_ == "crash") std::raise(SIGSEGV);
    if (how_ == "exit") std::_Exit(3);
    if (how_ == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
  }

  std::string how_;
};

}  // namespace

HOLDFAST_DEFENSE(Misbehaving, "misbehaving", 1, "Throws, crashes, exits or hangs.")
