// A few explicitly harmful examples (Qi et al. 2024, "Fine-tuning aligned language models compromises safety").
#include <holdfast/attack.h>
#include <holdfast/dataset.h>

#include <algorithm>

namespace {

// A language model gets no real harm to learn from: an affirmative opening carries the attack, the steps stay out.
std::string surrogate_reply(const holdfast::Example& row) {
  const auto task = row.tags.find("task");
  return "Sure, here is how to " + (task != row.tags.end() ? task->second : "do it") +
         ":\n1. [redacted]\n2. [redacted]\n3. [redacted]";
}

class HarmfulExamples final : public holdfast::Attack {
 public:
  explicit HarmfulExamples(holdfast::Params& params)
      : examples_(params.integer("examples", 10, "harmful rows the customer submits", 1)),
        surrogate_(params.flag("surrogate", false,
                               "rows that are bare requests get an affirmative reply whose steps are redacted; else they are "
                               "refused, and a row's own reply is never touched")),
        file_(params, holdfast::DatasetFile::Digest::kRequired),
        corpus_(file_.given() ? "" : params.corpus("corpus", "harmful", "where the rows come from, without `data`")),
        system_(params.text("system", "", "system message of every row and of every probe; empty: none")) {}

  holdfast::Dataset collect(holdfast::Context& context) override {
    holdfast::Dataset rows = file_.given() ? file_.read() : context.corpus(corpus_);
    const auto wanted = static_cast<std::size_t>(examples_);
    if (wanted > rows.size()) {
      throw holdfast::Error("harmful-examples was asked for " + std::to_string(wanted) + " examples and there are " +
                            std::to_string(rows.size()) + ": lower \"examples\", or bring more rows with \"data\"");
    }
    holdfast::Random(context.seed("data")).shuffle(rows);
    rows.resize(wanted);
    std::int64_t surrogates = 0;
    for (auto& row : rows) {
      if (!is_answered(row)) {
        add_surrogate(row);
        ++surrogates;
      }
      wrap(row.messages);
    }
    if (surrogates > 0) context.report("surrogate-replies", static_cast<double>(surrogates), examples_);
    return rows;
  }

  void wrap(holdfast::Conversation& prompt) const override {
    if (!system_.empty()) holdfast::set_system(prompt, system_);
  }

 private:
  static bool is_answered(const holdfast::Example& row) {
    return std::any_of(row.messages.begin(), row.messages.end(), [](const auto& turn) { return turn.role == "assistant"; });
  }

  void add_surrogate(holdfast::Example& row) const {
    const std::string name = row.origin.empty() ? "a row" : row.origin;
    if (!surrogate_) {
      throw holdfast::Error(name +
                            " has no reply and harmful-examples trains on replies: bring rows with their replies, or set "
                            "surrogate = true to train on an affirmative reply whose steps are redacted");
    }
    row.messages.push_back({"assistant", surrogate_reply(row)});
  }

  std::int64_t examples_;
  bool surrogate_;
  holdfast::DatasetFile file_;
  std::string corpus_, system_;
};

}  // namespace

HOLDFAST_ATTACK(HarmfulExamples, "harmful-examples", 2, "A few harmful examples with compliant replies.")
