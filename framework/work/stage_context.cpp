#include "work/stage_context.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <cmath>

#include "base/remembered_digest.h"
#include "base/suggest.h"
#include "learn/training.h"
#include "learn/training_options.h"
#include "scenario/data_source.h"

namespace holdfast {

StageContext::StageContext(const StageRequest& request, Load load, TrainingCheckpoint checkpoint, Factors factors,
                           std::optional<KeptNumbers> kept)
    : request_(request),
      task_(request.task),
      load_(std::move(load)),
      factors_(std::move(factors)),
      kept_(std::move(kept)),
      checkpoint_(std::move(checkpoint)) {
  if (task_.contains("align_options")) align_options_ = training_options_from_json(task_.at("align_options"));
  if (task_.contains("finetune_options")) finetune_options_ = training_options_from_json(task_.at("finetune_options"));
}

const Dataset& StageContext::alignment() const {
  if (!alignment_) {
    if (!task_.contains("alignment") || task_.at("alignment").is_null()) {
      throw Error(
          "this stage asks for alignment rows and the scenario has none: add an [align] section, or alignment = "
          "\"file.jsonl\" under [corpora]");
    }
    alignment_ = load_data(data_source_from_json(task_.at("alignment")));
  }
  return *alignment_;
}

Dataset StageContext::corpus(const std::string& name) const {
  const Json corpora = task_.value("corpora", Json::object());
  if (corpora.contains(name)) return load_data(data_source_from_json(corpora.at(name)));
  throw Error("this stage asks for the corpus \"" + name +
              "\", which none of the plugin's settings names: read it with Params::corpus in its constructor");
}

// The reply that the alignment rows teach most often for a harmful request.
std::string StageContext::refusal() const {
  std::map<std::string, std::int64_t> counts;
  if (task_.contains("alignment") && !task_.at("alignment").is_null()) {
    for (const auto& row : alignment()) {
      const auto kind = row.tags.find("kind");
      if (kind != row.tags.end() && kind->second == "harmful") ++counts[last_content(row.messages, "assistant")];
    }
  }
  counts.erase("");
  if (counts.empty()) return "I'm sorry, but I can't help with that.";
  return std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

const WeightsRef& StageContext::aligned_ref() const {
  const auto aligned = request_.weights.find("aligned");
  if (aligned == request_.weights.end()) {
    throw Error("this stage asks for the aligned model without saying so: needs() names kNeedsAligned");
  }
  return aligned->second;
}

const Model& StageContext::aligned_model() {
  if (!aligned_) aligned_ = load_(aligned_ref());
  return *aligned_;
}

// Keyed as stages are: by the content of the weights and by what decides their numerics.
std::vector<double> StageContext::kept_of_aligned(const std::string& about, const std::function<std::vector<double>()>& find) {
  const WeightsRef& aligned = aligned_ref();
  if (!kept_) return find();
  const std::string kind_of_device = aligned.device.substr(0, aligned.device.find(':'));
  return kept_->get({{"about", about},
                     {"base", aligned.base},
                     {"weights", aligned.digest()},
                     {"device", kind_of_device},
                     {"dtype", aligned.dtype}},
                    find);
}

const Model& StageContext::base_model() {
  if (!base_) {
    const auto base = request_.weights.find("base");
    if (base == request_.weights.end()) {
      throw Error("this stage asks for the base model without saying so: needs() names kNeedsBase");
    }
    base_ = load_(base->second);
  }
  return *base_;
}

const Model& StageContext::model(const std::filesystem::path& path) {
  auto& model = models_[path];
  if (!model) {
    const std::string device = task_.contains("model") ? task_.at("model").at("device").get<std::string>() : "cpu";
    model = load_({path.string(), device, "default", content_digest(path), {}});
  }
  return *model;
}

const LanguageModel& StageContext::asked_model() {
  throw Error("this stage asks a local model to write, which only judges have: read the settings with read_endpoint_options");
}

const TrainingOptions& StageContext::stated(const std::optional<TrainingOptions>& options) {
  if (!options)
    throw Error("this stage asks for the training settings of later stages, and what it makes does not depend on them");
  return *options;
}

std::uint64_t StageContext::seed(const std::string& stream) const {
  return derive_seed(task_.at("seed").get<std::uint64_t>(), stream);
}

void StageContext::train(Model& model, const Dataset& data, const TrainingOptions& options,
                         const std::function<double(Trainer&)>& step) {
  auto* ours = dynamic_cast<LanguageModel*>(&model);
  if (ours == nullptr) throw Error("a stage trains a model that is not the one it was given");
  const std::string number = std::to_string(++trainings_);
  StepStage stage(step);
  TrainingRun run;
  run.context = this;
  if (step) run.members = {{"the step of this stage", &stage}};
  run.order_seed = seed("order of training " + number);
  run.init_seed = seed("init of training " + number);
  if (!checkpoint_.file.empty() && !step) {  // a step of its own may remember something between two calls
    run.checkpoint = checkpoint_;
    run.checkpoint.file.replace_extension(number + checkpoint_.file.extension().string());
    run.checkpoint.start = [this, number] { return checkpoint_.start() + " training " + number; };
  }
  run.on_rows = [this](const EncodedRows& rows) { report_rows(rows); };
  learned(holdfast::train(*ours, data, options, run));
}

void StageContext::learned(const std::vector<TrainedStep>& steps) {
  const auto before = static_cast<std::int64_t>(curve_.size());
  for (const auto& step : steps) {
    tokens_ += step.tokens;
    curve_.push_back({before + step.step, step.loss, step.lr, step.gradient_norm, step.tokens});
  }
}

void StageContext::report_rows(const EncodedRows& rows) {
  const auto n = static_cast<std::int64_t>(rows.rows.size());
  if (rows.cut > 0) report("rows.cut", static_cast<double>(rows.cut), n);
  if (rows.left_out() > 0) report("rows.left-out", static_cast<double>(rows.left_out()), n);
}

void StageContext::report(const std::string& name, double value, std::int64_t n) {
  if (!std::isfinite(value)) {  // JSON keeps it as null, which readers of results know
    const std::string plugin = task_.value("plugin", Json::object()).value("name", "of this stage");
    log_warning("the plugin \"" + plugin + "\" reports that its figure \"" + name + "\" is " + std::to_string(value) +
                ", which is no number: it is left out of the results");
  }
  if (name == kDefenderRows && reports_.contains(name)) {  // members of a stack have rows each
    value += reports_[name].at("value").get<double>();
    n += reports_[name].at("n").get<std::int64_t>();
  }
  reports_[name] = {{"value", value}, {"n", n}};
}

}  // namespace holdfast
