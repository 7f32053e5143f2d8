// For a plugin's own tests: its settings as a scenario would give them, and a context, a model and a training to call it with.
// holdfast_add_plugin_test() links such a test together with the plugin.
#pragma once

#include <ATen/ATen.h>
#include <holdfast/attack.h>
#include <holdfast/defense.h>
#include <holdfast/judge.h>

#include <initializer_list>
#include <stdexcept>

/// The plugin that the test program is linked with.
extern "C" const holdfast::Plugin* holdfast_plugin();

namespace HOLDFAST_PUBLIC holdfast {

/// One setting as a scenario gives it: {"rho", 2.0}.
struct GivenSetting {
  std::string name;
  SettingValue value;
};

/// Settings as a scenario would give them to one plugin, and what its constructor found wrong with them.
class GivenSettings {
 public:
  /// folder: where relative `file` settings start.
  explicit GivenSettings(std::initializer_list<GivenSetting> values = {}, const std::filesystem::path& folder = {});

  /// For the constructor.
  Params params() const;
  /// Once it has run: each mistake that it noted, and each setting that it did not read, as the user would be told.
  std::vector<std::string> mistakes() const;

 private:
  std::shared_ptr<Params::State> state_;
};

/// The defense under test, constructed; what it finds wrong is in settings.mistakes().
inline DefenseStages make_defense(const GivenSettings& settings) {
  Params params = settings.params();
  return holdfast_plugin()->make_defense(params);
}

/// The attack under test.
inline std::shared_ptr<Attack> make_attack(const GivenSettings& settings) {
  Params params = settings.params();
  return holdfast_plugin()->make_attack(params);
}

/// The judge under test.
inline std::shared_ptr<Judge> make_judge(const GivenSettings& settings) {
  Params params = settings.params();
  return holdfast_plugin()->make_judge(params);
}

/// A Context that answers from what a test put in and remembers what a stage did.
class FakeContext : public Context {
 public:
  /// What a stage reported under one name.
  struct Report {
    double value;
    std::int64_t n;
  };

  const Dataset& alignment() const override { return alignment_rows; }
  Dataset corpus(const std::string& name) const override { return corpora.at(name); }
  std::string refusal() const override { return "I cannot help with that."; }
  const Model& aligned_model() override {
    if (aligned == nullptr) throw std::logic_error("the stage asked for an aligned model that it did not announce");
    return *aligned;
  }
  const Model& base_model() override {
    if (base == nullptr) throw std::logic_error("the stage asked for a base model that it did not announce");
    return *base;
  }
  const Model& model(const std::filesystem::path& path) override {
    const auto found = models.find(path);
    if (found == models.end()) throw std::logic_error("the stage asked for a model that the test has not: " + path.string());
    return *found->second;
  }
  Asker& asker() override {
    if (asks == nullptr) throw std::logic_error("the stage asked a model, and the test has no asker");
    return *asks;
  }
  const TrainingOptions& align_options() const override { return align; }
  const TrainingOptions& finetune_options() const override { return finetune; }
  std::uint64_t seed(const std::string& stream) const override { return derive_seed(cell_seed, stream); }
  void train(Model&, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& = {}) override {
    trained_rows = data;
    trained_options = options;
  }
  void report(const std::string& name, double value, std::int64_t n) override { reports[name] = {value, n}; }

  Dataset alignment_rows;
  std::map<std::string, Dataset> corpora;
  const Model* aligned = nullptr;  // the test's own, or none
  const Model* base = nullptr;
  std::map<std::filesystem::path, const Model*> models;
  Asker* asks = nullptr;  // the test's own, or none
  TrainingOptions align, finetune;
  std::uint64_t cell_seed = 1;
  std::map<std::string, Report> reports;
  Dataset trained_rows;  // what train() was called with
  TrainingOptions trained_options;
};

/// A Model with the weights and hidden states that a test chooses, and that cannot do anything else.
class FakeModel : public Model {
 public:
  using Hidden = std::function<std::vector<float>(const std::string& user_text)>;
  explicit FakeModel(Hidden hidden = {}) : hidden_(std::move(hidden)) {}

  std::int64_t layers() const override { return 2; }
  std::int64_t width() const override { throw std::logic_error("width"); }
  at::Device device() const override { return at::kCPU; }
  Encoded encode(const Conversation&, std::int64_t) const override { throw std::logic_error("encode"); }
  std::vector<std::int64_t> encode_prompt(const Conversation&) const override { throw std::logic_error("encode_prompt"); }
  Batch pack(const std::vector<Encoded>&) const override { throw std::logic_error("pack"); }
  at::Tensor hidden(const Batch&) const override { throw std::logic_error("hidden"); }
  at::Tensor log_probs(const Batch&) const override { throw std::logic_error("log_probs"); }
  at::Tensor mean_hidden(const std::vector<Conversation>& conversations) const override {
    asked += conversations.size();
    std::vector<at::Tensor> rows;
    for (const auto& conversation : conversations) rows.push_back(at::tensor(hidden_(last_content(conversation, "user"))));
    return at::stack(rows);
  }
  std::vector<Generated> generate(const std::vector<Conversation>&, const GenerateOptions&) const override {
    throw std::logic_error("generate");
  }
  std::vector<at::Tensor> states(const Batch&, const std::vector<std::int64_t>&) const override {
    throw std::logic_error("states");
  }
  at::Tensor head(const at::Tensor&) const override { throw std::logic_error("head"); }
  std::vector<at::Tensor> attention_shares(const Batch&, std::int64_t, const at::Tensor&, const at::Tensor&) const override {
    throw std::logic_error("attention_shares");
  }
  at::Tensor next_log_probs(const Batch&) const override { throw std::logic_error("next_log_probs"); }
  at::Tensor kl(const Batch&, const Model&) const override { throw std::logic_error("kl"); }
  std::vector<std::vector<double>> reply_log_probs(const std::vector<Conversation>&) const override {
    throw std::logic_error("reply_log_probs");
  }
  std::map<std::string, at::Tensor> weights() const override { return values; }
  std::vector<std::string> linears(std::int64_t) const override { return {}; }
  at::Tensor effective_weight(const std::string& name) const override { return values.at(name); }
  void set_weight(const std::string& name, const at::Tensor& changed) override { values.at(name) = changed; }
  std::unique_ptr<Model> clone() const override { throw std::logic_error("clone"); }
  Listeners& listeners() const override { return taps; }
  std::map<std::string, at::Tensor> trainable() override { return values; }

  /// What the test chose for that text.
  std::vector<float> hidden(const std::string& user_text) const { return hidden_(user_text); }

  std::map<std::string, at::Tensor> values;  // its weights
  mutable Listeners taps;                    // a test's network asks them at its sites
  mutable std::size_t asked = 0;             // conversations that went through mean_hidden

 private:
  Hidden hidden_;
};

/// A training of a few numbers whose loss is a formula of the test's own. Batches hold no text: Batch::rows says which rows
/// they are, in the order of the dataset, and the normalizer how many. There is no optimizer: what a step leaves in grad() is
/// what a test compares.
class FakeTrainer : public Trainer {
 public:
  /// parameters: leaves that require a gradient. loss: of one batch. rows: of the stage's own dataset.
  FakeTrainer(Tensors parameters, Loss loss, std::int64_t rows);
  ~FakeTrainer() override;

  Model& model() override { return fake_model; }
  Context& context() override { return fake_context; }
  const Model& reference() override { return fake_model; }
  std::int64_t step() const override { return at_step; }
  std::int64_t total_steps() const override { return steps; }
  const TrainingOptions& options() const override { return training; }
  const Tensors& parameters() const override { return parameters_; }
  const std::vector<std::string>& names() const override { return names_; }
  const Tensors& weights() const override { return parameters_; }
  void train_only(const std::function<bool(const std::string& name)>& which) override;
  Stream& rows() override { return *rows_; }
  Stream& stream(const std::string& name, const Dataset& data, const StreamOptions& options = {}) override;
  at::Tensor loss(const Batch& batch) override { return loss_(batch); }
  double backward(const Batches& batches, const Loss& loss = {}) override;
  void backward(const at::Tensor& loss) override;
  Tensors gradients(const Batches& batches, const Loss& loss = {}) override;
  Tensors gradients(const at::Tensor& loss, const Tensors& of, bool keep_graph = false) override;
  void add_gradient(const Tensors& gradient, double scale) override;
  Snapshot snapshot(bool with_moments = false) const override;
  void restore(const Snapshot& snapshot) override;
  void move(const Tensors& direction, double distance) override;
  std::unique_ptr<Optimizer> optimizer(double weight_decay) override;

  FakeModel fake_model;
  FakeContext fake_context;
  TrainingOptions training;
  std::int64_t at_step = 0, steps = 1;

 private:
  at::Tensor total(const Batches& batches, const Loss& loss) const;

  Tensors parameters_;
  std::vector<std::string> names_;  // "0", "1", ...
  Loss loss_;
  std::unique_ptr<Stream> rows_;
  std::map<std::string, std::unique_ptr<Stream>> streams_;
};

/// An Asker whose answers a test chooses, and that remembers what it was asked.
class FakeAsker : public Asker {
 public:
  std::vector<ModelAnswer> ask(const std::vector<Conversation>& questions, const AskOptions&) override {
    std::vector<ModelAnswer> answers;
    for (const auto& question : questions) answers.push_back(says(asked.emplace_back(question)));
    return answers;
  }
  std::vector<ModerationAnswer> moderations(const std::vector<std::string>& texts, const AskOptions&) override {
    std::vector<ModerationAnswer> answers;
    for (const auto& text : texts) answers.push_back(moderates(moderated.emplace_back(text)));
    return answers;
  }
  std::vector<TwoLogProbs> two_log_probs(const Model& model, const std::vector<Conversation>& questions,
                                         const TwoAnswers& answers) override {
    of = &model;
    compared = answers;
    std::vector<TwoLogProbs> found;
    for (const auto& question : questions) found.push_back(compares(asked.emplace_back(question)));
    return found;
  }
  std::string rendered(const Model&, const Conversation&) override { throw std::logic_error("rendered"); }

  std::function<ModelAnswer(const Conversation&)> says;
  std::function<ModerationAnswer(const std::string&)> moderates;
  std::function<TwoLogProbs(const Conversation&)> compares;
  std::vector<Conversation> asked;
  std::vector<std::string> moderated;
  const Model* of = nullptr;
  TwoAnswers compared;
};

/// A JudgeContext whose model says what a test lets it say.
class ScriptedJudgeContext : public JudgeContext {
 public:
  const Model& aligned_model() override { throw std::logic_error("the judge asks for the aligned model"); }
  const Model& served_model() override { throw std::logic_error("the judge asks for the served model"); }
  const Model& judge_model() override { throw std::logic_error("the judge asks for a model of its own"); }
  Asker& asker() override { return asks; }
  std::vector<double> opening_log_probs(const Model&, const Conversation&, const std::vector<std::string>&) override {
    throw std::logic_error("the judge asks for log-probabilities of openings");
  }
  void progress(std::int64_t, std::int64_t) override {}

  FakeAsker asks;
};

/// A reply to a probe of that kind, as a judge gets it when it is whole, coherent and without a thought.
inline JudgedReply judged_reply(const std::string& kind, const std::string& request, const std::string& reply) {
  const Conversation prompt = {{"user", request}};
  return {.id = "probe", .prompt = prompt, .reply = reply, .tags = {{"kind", kind}}, .served = prompt, .answer = reply};
}

}  // namespace holdfast
