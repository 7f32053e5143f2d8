// Ordinary data from a customer who means no harm (Qi et al. 2024: it erodes safety too).
#include <holdfast/attack.h>
#include <holdfast/dataset_file.h>

namespace {

class Benign final : public holdfast::Attack {
 public:
  explicit Benign(holdfast::Params& params)
      : examples_(params.integer("examples", 100, "rows the customer submits", 1)),
        file_(params, holdfast::DatasetFile::Digest::kOptional) {}

  holdfast::Dataset collect(holdfast::Context& context) override {
    holdfast::Dataset rows = file_.given() ? file_.read() : context.corpus("benign");
    const auto wanted = static_cast<std::size_t>(examples_);
    if (wanted > rows.size()) {
      throw holdfast::Error("benign was asked for " + std::to_string(wanted) + " examples and there are " +
                            std::to_string(rows.size()) + ": lower \"examples\", or bring more rows with \"data\"");
    }
    holdfast::Random(context.seed("data")).shuffle(rows);
    rows.resize(wanted);
    return rows;
  }

 private:
  std::int64_t examples_;
  holdfast::DatasetFile file_;
};

}  // namespace

HOLDFAST_ATTACK(Benign, "benign", 1, "Ordinary instruction data from a customer who means no harm.")
