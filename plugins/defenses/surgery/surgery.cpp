// Surgery (arXiv 2602.05228): tune while no attention head may look at the first token, its sink, more on harmful texts than
// on harmless ones: the plain loss plus alpha times the mean over all heads and layers of relu(sink of a harmful batch - sink
// of a harmless one).
#include <ATen/ATen.h>
#include <holdfast/defense.h>

namespace {

using holdfast::Batch;
using holdfast::Batches;
using holdfast::Dataset;

class Surgery final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {
        .source = "arXiv 2602.05228; the rule as the authors' code has it (Lslland/Surgery)",
        .cost = "2 more forwards and backwards a step, over `texts` rows each; the attention of those, (heads, T, T) a layer",
        .presets = {{"repo",
                     {{"alpha", 300.0}, {"texts", 1}, {"rows", 1000}},
                     "full fine-tuning, lr 5e-6 constant with a warm-up of 10 %, batches of 10, 5 epochs, 512 tokens"},
                    {"organism", {{"alpha", 300.0}}}}};
  }

  explicit Surgery(holdfast::Params& params)
      : alpha_(params.number("alpha", 300, "weight of the mean excess of the harmful sink; 0: plain tuning", 0)),
        texts_(params.integer("texts", 1, "harmful texts in a step, and as many harmless ones", 1)),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows")),
        harmless_(params.corpus("harmless", "benign", "the corpus of harmless rows")),
        rows_(params.integer("rows", 0, "rows that the defender holds of each kind; 0: all of both corpora")) {}

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    harmful_texts_ = &trainer.stream("harmful", rows_of(context, harmful_), {.batch_size = texts_});
    harmless_texts_ = &trainer.stream("harmless", rows_of(context, harmless_), {.batch_size = texts_});
  }

  double step(holdfast::Trainer& trainer) override {
    const double loss = trainer.backward(trainer.rows().next());
    if (alpha_ == 0) return loss;
    const at::Tensor harmful = sinks(trainer.model(), harmful_texts_->next());
    const at::Tensor harmless = sinks(trainer.model(), harmless_texts_->next());
    const at::Tensor excess = alpha_ * (harmful - harmless).relu().mean();
    trainer.backward(excess);
    return loss + excess.item<double>();
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  Dataset rows_of(holdfast::Context& context, const std::string& corpus) const {
    return holdfast::defender_rows(context.corpus(corpus), rows_, "surgery", "the corpus \"" + corpus + "\"", context);
  }

  // What each head gives to the first token, mean over the tokens behind it and over the texts, (layers x heads).
  static at::Tensor sinks(const holdfast::Model& model, const Batches& texts) {
    holdfast::Tensors each;
    for (const auto& batch : texts) {
      const holdfast::Taps queries(model, holdfast::Site::kQuery), keys(model, holdfast::Site::kKey);
      model.hidden(batch);
      std::vector<holdfast::Tensors> by_text(batch.lengths.size());
      for (const auto layer : queries.layers()) {
        const auto shares = model.attention_shares(batch, layer, queries.at(layer), keys.at(layer));  // (heads, T, T) a text
        for (std::size_t i = 0; i < shares.size(); ++i) {
          by_text[i].push_back(shares[i].narrow(1, 1, shares[i].size(1) - 1).select(2, 0).mean(1));
        }
      }
      for (const auto& text : by_text) each.push_back(at::cat(text));
    }
    return at::stack(each).mean(0);
  }

  double alpha_;
  std::int64_t texts_;
  std::string harmful_, harmless_;
  std::int64_t rows_;
  holdfast::Stream* harmful_texts_ = nullptr;
  holdfast::Stream* harmless_texts_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(Surgery, "surgery", 1, "Holds attention sinks on harmful texts to those on harmless ones (Surgery).")
