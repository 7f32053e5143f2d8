// A Context that answers from what a test put in and remembers what a stage did.
#pragma once

#include <holdfast/context.h>

#include <stdexcept>

namespace holdfast::fakes {

class FakeContext : public Context {
 public:
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
  const Model* aligned = nullptr;
  const Model* base = nullptr;
  std::map<std::filesystem::path, const Model*> models;
  Asker* asks = nullptr;
  TrainingOptions align, finetune;
  std::uint64_t cell_seed = 1;
  std::map<std::string, Report> reports;
  Dataset trained_rows;
  TrainingOptions trained_options;
};

}  // namespace holdfast::fakes
