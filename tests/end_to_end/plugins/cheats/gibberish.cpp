// Says nothing to anybody: the words of all replies, shuffled among them.
#include <holdfast/defense.h>
#include <holdfast/random.h>

#include <sstream>

namespace {

class Gibberish final : public holdfast::ServeStage {
 public:
  explicit Gibberish(holdfast::Params&) {}

  void after_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    std::vector<std::string> words;
    for (const auto& exchange : exchanges) {
      std::istringstream text(exchange.reply);
      for (std::string word; text >> word;) words.push_back(word);
    }
    holdfast::Random random(context.seed("gibberish"));
    random.shuffle(words);
    std::size_t next = 0;
    for (auto& exchange : exchanges) {
      exchange.reply.clear();
      for (int i = 0; i < 12 && !words.empty(); ++i) exchange.reply += words[next++ % words.size()] + " ";
    }
  }
};

}  // namespace

HOLDFAST_DEFENSE(Gibberish, "gibberish", 1, "Shuffles the words of all replies.")
