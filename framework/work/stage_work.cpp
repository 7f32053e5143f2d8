#include "work/stage_work.h"

#include "base/digest.h"
#include "data/formats.h"
#include "learn/training_options.h"
#include "plugin/made_plugin.h"
#include "work/stage_data.h"

namespace holdfast {
namespace {

constexpr const char* kWeightsMoved = "weights-moved";
constexpr double kCheckpointSeconds = 300;  // small trainings never write one

TrainingCheckpoint training_checkpoint(const StageRequest& request, const StageTools& tools) {
  return {tools.store.training_checkpoint(request.key), kCheckpointSeconds, [&request] { return request.key; }};
}

}  // namespace

StageWork::StageWork(const StageRequest& request, StageTools& tools, Account& account, const fs::path& made)
    : request_(request),
      tools_(tools),
      account_(account),
      made_(made),
      context_(
          request, [this](const WeightsRef& ref) { return weights(ref); }, training_checkpoint(request, tools),
          [this] { return tuned_factors(); }, KeptNumbers(tools.store.root() / kKeptNumbers)) {}

std::shared_ptr<const LanguageModel> StageWork::weights(const WeightsRef& ref) {
  auto model = tools_.weights.get(ref);
  account_.holds(model->device());
  return model;
}

fs::path StageWork::input(const std::string& role, const std::string& file) const {
  const ArtifactRef& ref = request_.inputs.at(role);
  return tools_.store.file(ref.kind, ref.key, file);
}

fs::path StageWork::folder() const { return task().at("folder").get<std::string>(); }

DefenseStages StageWork::defense(const Json& settings) const { return made_defense(settings, folder()); }

std::vector<std::pair<std::string, DefenseStages>> StageWork::defenses() const {
  std::vector<std::pair<std::string, DefenseStages>> made;
  const auto add = [&](const Json& settings) { made.emplace_back(settings.at("name").get<std::string>(), defense(settings)); };
  if (task().contains("plugin")) add(task().at("plugin"));
  for (const auto& settings : task().value("plugins", Json::array())) add(settings);
  return made;
}

// Models in memory have them merged; the tuning's file still has them.
NamedTensors StageWork::tuned_factors() const {
  const auto& chain = parent_ref().chain;
  if (chain.empty() || chain.back().kind != StageKind::kFinetune) return {};
  return factors_of_change(tools_.store.file(chain.back().kind, chain.back().key, kChangeFile));
}

Dataset StageWork::input_data() const { return read_stage_data(input("data", kDataFile)); }

void StageWork::write_data(const Dataset& data) {
  std::string text, content;
  for (const auto& example : data) {
    Json row = example_to_json(example);
    content += canonical(row) + "\n";
    if (!example.origin.empty()) row["origin"] = fs::path(example.origin).filename().string();  // without its folder
    text += canonical(row) + "\n";
  }
  write_file(made(kDataFile), text);
  manifest_.digest = sha256(content);
  manifest_.reports["rows"] = {{"value", data.size()}, {"n", data.size()}};
}

// The child's content is the parent's and the change. It is made anew from the file, so that it is the same bits here and
// wherever it is loaded later.
void StageWork::write_weights(const LanguageModel& parent, const LanguageModel& trained) {
  const fs::path path = made(kChangeFile);
  write_weight_change(path, parent, trained);
  make_child(path, parent);
  manifest_.digest = sha256(canonical({{"parent", parent_ref().digest()}, {"change", sha256_file(path)}}));
}

void StageWork::write_whole_weights(const LanguageModel& trained) {
  const fs::path path = made(kChangeFile);
  holdfast::write_whole_weights(path, trained);
  make_child(path, *whole_parent());
  manifest_.digest = sha256_file(path);
}

std::shared_ptr<const LanguageModel> StageWork::whole_parent() {
  auto model = parent();
  if (model->decoder().adapters().empty()) return model;
  return model->merged();
}

void StageWork::make_child(const fs::path& change, const LanguageModel& parent) {
  child_ = child_weights(parent, request_.kind, change);
  report_moved(moved_weights(parent, *child_));
}

void StageWork::report_moved(const MovedWeights& moved) {
  manifest_.reports[kWeightsMoved] = {{"value", moved.share}, {"n", moved.tensors}};
}

void StageWork::write_unchanged() {
  const auto same = whole_parent();
  write_weight_change(made(kChangeFile), *same, *same);
  manifest_.digest = parent_ref().digest();
  report_moved({});
}

// What is drawn with which seed.
TrainingRun StageWork::seeded_run() {
  const std::string kind = to_string(request_.kind);
  TrainingRun run;
  run.order_seed = context_.seed(kind + " order");
  run.init_seed = context_.seed(kind + " init");
  return run;
}

void StageWork::complete(TrainingRun& run) {
  run.context = &context_;
  run.checkpoint = training_checkpoint(request_, tools_);
  run.on_rows = [this](const EncodedRows& rows) { context_.report_rows(rows); };
}

void StageWork::train(const std::vector<TrainingMember>& members, Dataset data) {
  const auto before = whole_parent();
  const auto model = before->share();
  TrainingRun run = seeded_run();
  run.reference = [&] { return before; };
  train(*model, members, std::move(data), std::move(run));
  write_weights(*before, *model);
}

void StageWork::train(LanguageModel& model, const std::vector<TrainingMember>& members, Dataset data, TrainingRun run) {
  TrainingOptions options = training_options_from_json(task().at("options"));
  run.members = members;
  complete(run);
  for (const auto& member : members) member.stage->prepare(options, data, context_);
  trained(holdfast::train(model, data, options, run));
}

TrainingTask StageWork::plain_training(LanguageModel& model, const Dataset& data) {
  TrainingTask made{&model, &data, training_options_from_json(task().at("options")), seeded_run()};
  complete(made.run);
  return made;
}

void StageWork::trained(const std::vector<TrainedStep>& steps) {
  context_.learned(steps);
  if (!steps.empty()) manifest_.reports["last-loss"] = {{"value", steps.back().loss}, {"n", steps.size()}};
}

Manifest StageWork::finished() {
  const std::int64_t tokens = manifest_.cost.value("tokens", std::int64_t{0}) + context_.tokens();
  if (tokens > 0) manifest_.cost["tokens"] = tokens;
  if (!context_.curve().empty()) write_curve(made(kCurveFile), context_.curve());
  for (const auto& [name, figure] : context_.reports().items()) manifest_.reports[name] = figure;
  return manifest_;
}

void StageWork::keep_warm(const Manifest& stored) {
  if (!child_) return;
  tools_.store.remove_training_checkpoints(request_.key);
  WeightsRef weights = parent_ref();
  weights.chain.push_back({request_.kind, stored.key, stored.digest});
  tools_.weights.put(weights, child_);
}

}  // namespace holdfast
