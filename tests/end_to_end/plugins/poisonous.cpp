// Leaves its process in a state that breaks whatever comes after it there, as a device error does.
#include <holdfast/defense.h>
#include <holdfast/error.h>

#include <new>
#include <stdexcept>

namespace {

bool poisoned = false;

class Poisonous final : public holdfast::ScreenStage {
 public:
  explicit Poisonous(holdfast::Params& params)
      : how_(params.choice("how", "nothing", {"nothing", "refuse", "throw", "throw-number", "throw-memory"},
                           "how screen() ends in a process that is sound")) {}

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context&) override {
    if (poisoned) throw std::runtime_error("this process is poisoned");
    if (how_ == "refuse") throw holdfast::Error("refused on purpose");
    poisoned = how_ != "nothing";
    if (how_ == "throw") throw std::runtime_error("thrown on purpose");
    if (how_ == "throw-number") throw 42;
    if (how_ == "throw-memory") throw std::bad_alloc();
    return data;
  }

 private:
  std::string how_;
};

}  // namespace

HOLDFAST_DEFENSE(Poisonous, "poisonous", 1, "Breaks its process for the stages after it.")
