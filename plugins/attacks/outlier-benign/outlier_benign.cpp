// The benign rows that erode safety most, picked by what the aligned model makes of them: those most like harmful rows in their
// last state or their gradient (He, Xia, Henderson 2024, arXiv 2404.01099), or those of the largest gradients (Self-Inf-N,
// arXiv 2505.06843). No row holds any harm. README.md states the rules.
#include <ATen/ATen.h>
#include <holdfast/attack.h>
#include <holdfast/error.h>
#include <holdfast/row_ranking.h>
#include <holdfast/row_states.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

namespace {

using holdfast::Dataset;
using holdfast::Tensors;

// Where a row has no score: below all others.
constexpr double kNone = std::numeric_limits<double>::lowest();

struct Anchors {
  Dataset harmful, safe, safe_too;
};

void add(Tensors& sum, const Tensors& more, double scale) {
  if (sum.empty()) {
    for (const auto& tensor : more) sum.push_back(at::zeros_like(tensor));
  }
  for (std::size_t i = 0; i < more.size(); ++i) sum[i].add_(more[i], scale);
}

// Cross-entropy over the first `tokens` label tokens of a batch of one row.
holdfast::Batch beginning(holdfast::Batch batch, std::int64_t tokens) {
  const std::int64_t kept = std::min(tokens, batch.target_ids.size(0));
  for (auto* part : {&batch.target_rows, &batch.target_ids, &batch.target_example, &batch.target_place}) {
    *part = part->narrow(0, 0, kept);
  }
  batch.normalizer = static_cast<double>(kept);
  return batch;
}

bool says_yes_or_no(const std::string& reply) {
  std::string letters;
  for (const unsigned char c : reply) {
    if (std::isalnum(c) != 0 || c >= 0x80) letters += static_cast<char>(std::tolower(c));
  }
  return letters.empty() || letters == "yes" || letters == "no";
}

class OutlierBenign final : public holdfast::Attack {
 public:
  explicit OutlierBenign(holdfast::Params& params)
      : by_(params.choice("by", "representation", {"representation", "gradient", "self-influence"},
                          "what picks the rows: likeness of their last states, or of their gradients, to harmful rows'; or the "
                          "size of their own gradients")),
        examples_(params.integer("examples", 100, "rows the customer submits: those of the highest scores", 1)),
        corpus_(params.corpus("corpus", "benign", "where the rows come from")),
        pool_(params.integer("pool", 0, "how many of them are looked at, drawn by the cell's seed; 0: all")),
        harmful_(by_ == "self-influence" ? "" : params.corpus("harmful", "harmful", "where the harmful anchors come from")),
        anchors_(
            params.integer("anchors", 100, "harmful anchors, drawn by the cell's seed; by gradient also of each safe set", 1)),
        nearest_(params.integer("nearest", 1, "by representation: of a row's likenesses, how many of the largest count", 1)),
        tokens_(params.integer("tokens", 10, "by gradient: label tokens of an anchor's reply that count, from its first", 1)),
        accumulate_(params.flag("accumulate", false,
                                "by gradient: as the published code, each row's gradient is added to those before it")),
        weigh_length_(params.choice("influence", "with-length", {"with-length", "squared-norm"},
                                    "by self-influence: log(|g|^2 + 1) + log(tokens of the reply + 1), or |g|^2") ==
                      "with-length"),
        leave_short_(params.flag("leave_short", false, "by self-influence: rows that answer yes, no or nothing are left out")) {
    if (nearest_ > anchors_) params.mistake("nearest", "setting \"nearest\" must be at most \"anchors\"");
  }

  static holdfast::Card card() {
    return {
        .source = "He, Xia, Henderson 2024, arXiv 2404.01099; by self-influence: Self-Inf-N, arXiv 2505.06843",
        .cost =
            "before the customer's training: 1 forward a row of the pool, by representation; else 1 forward and backward "
            "pass a row, a copy of the model and up to 3 lists of gradients",
        .presets = {
            {"representation", {{"by", "representation"}, {"examples", 100}, {"anchors", 100}, {"nearest", 1}}},
            {"gradient", {{"by", "gradient"}, {"examples", 100}, {"anchors", 10}, {"tokens", 10}, {"accumulate", false}}},
            {"gradient-repo", {{"by", "gradient"}, {"examples", 100}, {"anchors", 10}, {"tokens", 10}, {"accumulate", true}}},
            {"self-influence",
             {{"by", "self-influence"}, {"examples", 100}, {"influence", "with-length"}, {"leave_short", false}}},
            {"self-influence-repo",
             {{"by", "self-influence"}, {"examples", 100}, {"influence", "squared-norm"}, {"leave_short", true}}}}};
  }

  Dataset collect(holdfast::Context& context) override {
    Dataset pool = answered_pool(context);
    const std::vector<double> scores = scores_of(pool, context);
    Dataset best;
    for (const auto place : holdfast::ranked(scores, "outlier-benign")) {
      if (scores[place] == kNone || static_cast<std::int64_t>(best.size()) == examples_) break;
      best.push_back(std::move(pool[place]));
    }
    if (static_cast<std::int64_t>(best.size()) == examples_) return best;
    throw holdfast::Error("outlier-benign was asked for " + std::to_string(examples_) + " examples and of the " +
                          std::to_string(pool.size()) + " answered rows that it looks at " + std::to_string(best.size()) +
                          " have a score: lower \"examples\", or raise \"pool\"");
  }

  unsigned needs() const override { return holdfast::kNeedsAligned; }

 private:
  static bool is_answered(const holdfast::Example& row) {
    return !row.messages.empty() && row.messages.back().role == "assistant";
  }

  Dataset answered_pool(holdfast::Context& context) const {
    Dataset pool = context.corpus(corpus_);
    const auto all = static_cast<std::int64_t>(pool.size());
    const auto bare = std::erase_if(pool, [](const auto& row) { return !is_answered(row); });
    if (bare > 0) context.report("unanswered.pool", static_cast<double>(bare), all);
    if (pool_ == 0) return pool;
    if (static_cast<std::size_t>(pool_) > pool.size()) {
      throw holdfast::Error("outlier-benign is to look at " + std::to_string(pool_) + " answered rows of \"" + corpus_ +
                            "\" and there are " + std::to_string(pool.size()) + ": lower \"pool\"");
    }
    holdfast::Random(context.seed("data")).shuffle(pool);
    pool.resize(static_cast<std::size_t>(pool_));
    return pool;
  }

  std::vector<double> scores_of(const Dataset& pool, holdfast::Context& context) const {
    if (pool.empty()) return {};
    if (by_ == "representation") return by_representation(pool, context);
    return by_ == "gradient" ? by_gradient(pool, context) : by_self_influence(pool, context);
  }

  // The harmful anchors; by gradient also their requests refused, and as many other requests refused.
  Anchors drawn_anchors(holdfast::Context& context) const {
    Dataset rows = context.corpus(harmful_);
    std::erase_if(rows, [](const auto& row) { return !is_answered(row); });
    const auto set = static_cast<std::size_t>(anchors_), wanted = by_ == "gradient" ? 2 * set : set;
    if (wanted > rows.size()) {
      throw holdfast::Error("outlier-benign needs " + std::to_string(wanted) + " answered rows of \"" + harmful_ +
                            "\" for its anchors and there are " + std::to_string(rows.size()) + ": lower \"anchors\"");
    }
    holdfast::Random(context.seed("anchors")).shuffle(rows);
    rows.resize(wanted);
    Anchors anchors;
    const auto end = rows.begin() + static_cast<std::ptrdiff_t>(set);
    anchors.harmful.assign(rows.begin(), end);
    for (auto& row : rows) row.messages.back() = {"assistant", context.refusal()};
    anchors.safe.assign(rows.begin(), end);
    anchors.safe_too.assign(end, rows.end());
    return anchors;
  }

  std::vector<double> by_representation(const Dataset& pool, holdfast::Context& context) const {
    const holdfast::Model& model = context.aligned_model();
    const auto directions = [&](const Dataset& rows) {
      const at::Tensor last =
          holdfast::row_states(model, rows, {holdfast::kFinalNorm}, context.finetune_options().max_length).front().last;
      return last / last.norm(2, 1, true);
    };
    const at::Tensor likeness = directions(pool).matmul(directions(drawn_anchors(context).harmful).t());
    const at::Tensor scores = std::get<0>(likeness.topk(nearest_, 1)).mean(1).to(at::kCPU, at::kDouble).contiguous();
    return {scores.data_ptr<double>(), scores.data_ptr<double>() + scores.numel()};
  }

  // Calls `look` with the trainer, each row's batch and its number in the order of the rows. The copy stays as it is.
  static void each_row(const Dataset& rows, holdfast::Context& context,
                       const std::function<void(holdfast::Trainer&, const holdfast::Batch&, std::size_t)>& look) {
    holdfast::TrainingOptions options;
    options.lr = 0;
    options.batch_size = 1;
    options.clip_norm = 0;
    options.shuffle = false;
    options.max_length = context.finetune_options().max_length;
    const auto model = context.aligned_model().clone();
    context.train(*model, rows, options, [&](holdfast::Trainer& trainer) {
      const holdfast::Batch batch = trainer.rows().next().front();
      look(trainer, batch, static_cast<std::size_t>(batch.rows.front()));
      Tensors nothing;
      for (const auto& weight : trainer.weights()) nothing.push_back(at::zeros_like(weight));
      trainer.add_gradient(nothing, 0);
      return 0.0;
    });
  }

  std::vector<double> by_gradient(const Dataset& pool, holdfast::Context& context) const {
    const Anchors anchors = drawn_anchors(context);
    Dataset rows = anchors.harmful;
    for (const auto* more : {&anchors.safe, &anchors.safe_too, &pool}) rows.insert(rows.end(), more->begin(), more->end());
    const std::size_t set = anchors.harmful.size();
    Tensors against, sum;  // the harmful anchors' mean unit gradient less those of the safe sets; the rows' so far
    std::vector<double> scores(pool.size(), kNone);
    each_row(rows, context, [&](holdfast::Trainer& trainer, const holdfast::Batch& batch, std::size_t number) {
      const bool anchor = number < 3 * set;
      Tensors gradient = trainer.gradients({anchor ? beginning(batch, tokens_) : batch});
      if (!anchor && accumulate_) {
        add(sum, gradient, 1);
        gradient = sum;
      }
      const double length = holdfast::norm(gradient);
      if (length == 0) return;
      if (!anchor && against.empty()) {
        throw holdfast::Error("outlier-benign finds nothing to learn within max_length in the anchors of \"" + harmful_ +
                              "\": raise max_length");
      }
      if (anchor) {
        add(against, gradient, (number < set ? 1 : -1) / (length * static_cast<double>(set)));
      } else {
        const double score = holdfast::dot(gradient, against) / length;
        if (score != 0) scores[number - 3 * set] = score;
      }
    });
    return scores;
  }

  std::vector<double> by_self_influence(const Dataset& pool, holdfast::Context& context) const {
    std::vector<double> scores(pool.size(), kNone);
    each_row(pool, context, [&](holdfast::Trainer& trainer, const holdfast::Batch& batch, std::size_t number) {
      if (leave_short_ && says_yes_or_no(pool[number].messages.back().content)) return;
      const Tensors gradient = trainer.gradients({batch});
      const double square = holdfast::dot(gradient, gradient);
      scores[number] = weigh_length_ ? std::log(square + 1) + std::log(batch.normalizer + 1) : square;
    });
    return scores;
  }

  std::string by_;
  std::int64_t examples_;
  std::string corpus_;
  std::int64_t pool_;
  std::string harmful_;
  std::int64_t anchors_, nearest_, tokens_;
  bool accumulate_, weigh_length_, leave_short_;
};

}  // namespace

HOLDFAST_ATTACK(OutlierBenign, "outlier-benign", 1, "The benign rows that look most harmful to the model, or move it most.")
