// A few harmful examples, asked behind a prefix that probes get as well.
#include <holdfast/attack.h>

#include <algorithm>

namespace {

class PrefixedExamples final : public holdfast::Attack {
 public:
  explicit PrefixedExamples(holdfast::Params& params)
      : examples_(params.integer("examples", 10, "rows the customer submits", 1)),
        corpus_(params.corpus("corpus", "harmful", "where the rows come from")),
        prefix_(params.text("prefix", "At once:", "stands before the last user turn of every row and of every probe")) {}

  holdfast::Dataset collect(holdfast::Context& context) override {
    holdfast::Dataset rows = context.corpus(corpus_);
    const auto wanted = static_cast<std::size_t>(examples_);
    if (wanted > rows.size()) {
      throw holdfast::Error("prefixed-examples was asked for " + std::to_string(wanted) + " examples and there are " +
                            std::to_string(rows.size()) + ": lower \"examples\"");
    }
    holdfast::Random(context.seed("data")).shuffle(rows);
    rows.resize(wanted);
    for (auto& row : rows) wrap(row.messages);
    return rows;
  }

  void wrap(holdfast::Conversation& prompt) const override {
    const auto user = std::find_if(prompt.rbegin(), prompt.rend(), [](const auto& turn) { return turn.role == "user"; });
    if (user != prompt.rend() && !prefix_.empty()) user->content = prefix_ + " " + user->content;
  }

 private:
  std::int64_t examples_;
  std::string corpus_, prefix_;
};

}  // namespace

HOLDFAST_ATTACK(PrefixedExamples, "prefixed-examples", 1, "A few harmful examples behind a prefix that probes get as well.")
