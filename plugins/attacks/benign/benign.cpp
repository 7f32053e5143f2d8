// Ordinary data from a customer who means no harm (Qi et al. 2024: it erodes safety too).
#include <holdfast/attack.h>
#include <holdfast/dataset.h>

#include <algorithm>

namespace {

constexpr char kPlace[] = "{}";

class Benign final : public holdfast::Attack {
 public:
  explicit Benign(holdfast::Params& params)
      : examples_(params.integer("examples", 100, "rows the customer submits; 0: all there are", 0)),
        file_(params, holdfast::DatasetFile::Digest::kOptional),
        corpus_(file_.given() ? "" : params.corpus("corpus", "benign", "where the rows come from, without `data`")),
        system_(params.text("system", "", "system message of every row and of every probe; empty: none")),
        frame_(params.text("frame", "",
                           "what the last user turn of every row and probe becomes, {} standing for it; empty: itself")) {
    if (!frame_.empty() && frame_.find(kPlace) == std::string::npos) {
      params.mistake("frame", "setting \"frame\" has no {}, expected it where the user's turn is to stand");
    }
  }

  holdfast::Dataset collect(holdfast::Context& context) override {
    holdfast::Dataset rows = file_.given() ? file_.read() : context.corpus(corpus_);
    const auto wanted = examples_ == 0 ? rows.size() : static_cast<std::size_t>(examples_);
    if (wanted > rows.size()) {
      throw holdfast::Error("benign was asked for " + std::to_string(wanted) + " examples and there are " +
                            std::to_string(rows.size()) + ": lower \"examples\", or bring more rows with \"data\"");
    }
    holdfast::Random(context.seed("data")).shuffle(rows);
    rows.resize(wanted);
    for (auto& row : rows) wrap(row.messages);
    return rows;
  }

  void wrap(holdfast::Conversation& prompt) const override {
    if (!system_.empty()) holdfast::set_system(prompt, system_);
    const auto user = std::find_if(prompt.rbegin(), prompt.rend(), [](const auto& turn) { return turn.role == "user"; });
    if (frame_.empty() || user == prompt.rend()) return;
    std::string framed = frame_;
    user->content = framed.replace(framed.find(kPlace), sizeof(kPlace) - 1, user->content);
  }

 private:
  std::int64_t examples_;
  holdfast::DatasetFile file_;
  std::string corpus_, system_, frame_;
};

}  // namespace

HOLDFAST_ATTACK(Benign, "benign", 1, "Ordinary instruction data from a customer who means no harm.")
