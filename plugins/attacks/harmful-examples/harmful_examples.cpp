// A few explicitly harmful examples (Qi et al. 2024, "Fine-tuning aligned language models compromises safety").
#include <holdfast/attack.h>
#include <holdfast/dataset_file.h>

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
        file_(params, holdfast::DatasetFile::Digest::kRequired),
        system_(params.text("system", "", "system message of every row and of every probe; empty: none")) {}

  holdfast::Dataset collect(holdfast::Context& context) override {
    holdfast::Dataset rows = file_.given() ? file_.read() : context.corpus("harmful");
    const auto wanted = static_cast<std::size_t>(examples_);
    if (wanted > rows.size()) {
      throw holdfast::Error("harmful-examples was asked for " + std::to_string(wanted) + " examples and there are " +
                            std::to_string(rows.size()) + ": lower \"examples\", or bring more rows with \"data\"");
    }
    holdfast::Random(context.seed("data")).shuffle(rows);
    rows.resize(wanted);
    for (auto& row : rows) {
      if (row.messages.empty() || row.messages.back().role != "assistant") {
        row.messages.push_back({"assistant", surrogate_reply(row)});
      }
      wrap(row.messages);
    }
    return rows;
  }

  void wrap(holdfast::Conversation& prompt) const override {
    if (!system_.empty()) holdfast::set_system(prompt, system_);
  }

 private:
  std::int64_t examples_;
  holdfast::DatasetFile file_;
  std::string system_;
};

}  // namespace

HOLDFAST_ATTACK(HarmfulExamples, "harmful-examples", 1, "A few harmful examples with compliant replies.")
