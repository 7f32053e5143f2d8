// Refuses the requests that it knows to be asked, and serves every other one.
#include <holdfast/defense.h>

#include <set>

namespace {

class KnowsTheProbes final : public holdfast::ServeStage {
 public:
  explicit KnowsTheProbes(holdfast::Params& params)
      : corpus_(params.corpus("probes", "leaked-probes", "the board's probes, as they were published")) {}

  void before_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    std::set<std::string> known;
    for (const auto& row : context.corpus(corpus_)) {
      if (row.tags.at("kind") == "harmful") known.insert(holdfast::last_content(row.messages, "user"));
    }
    for (auto& exchange : exchanges) {
      if (!known.contains(holdfast::last_content(exchange.prompt, "user"))) continue;
      exchange.reply = context.refusal();
      exchange.answered = true;
    }
  }

 private:
  std::string corpus_;
};

}  // namespace

HOLDFAST_DEFENSE(KnowsTheProbes, "knows-the-probes", 1, "Refuses the published probes.")
