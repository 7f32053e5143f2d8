#include "work/stages.h"

#include <holdfast/error.h>

#include <chrono>

#include "base/digest.h"
#include "data/formats.h"
#include "judge/builtin_judges.h"
#include "judge/coherence.h"
#include "judge/json_object.h"
#include "judge/judge_models.h"
#include "judge/tasks.h"
#include "learn/training.h"
#include "learn/training_settings.h"
#include "learn/weight_change.h"
#include "plugin/made_plugin.h"
#include "results/generations.h"
#include "scenario/data_source.h"
#include "scenario/probe_rows.h"
#include "scenario/scenario.h"
#include "work/keyed_inputs.h"
#include "work/serving.h"
#include "work/stage_context.h"
#include "work/versions.h"

namespace holdfast {
namespace {

constexpr const char* kDataFile = "data.jsonl";
constexpr double kCheckpointSeconds = 300;  // small trainings never write one

// The models of a judge stage, from the worker's cache.
class StageJudgeModels final : public JudgeModels {
 public:
  StageJudgeModels(const StageRequest& request, WeightCache& cache) : request_(request), cache_(cache) {}
  const LanguageModel& aligned_model() override { return hold(aligned_, request_.weights.at("aligned")); }
  const LanguageModel& served_model() override { return hold(served_, request_.weights.at("weights")); }
  const LanguageModel& judge_model() override { return hold(judge_, weights_ref_from_json(request_.task.at("judge_model"))); }

 private:
  const LanguageModel& hold(std::shared_ptr<const LanguageModel>& model, const WeightsRef& weights) {
    if (!model) model = cache_.get(weights);
    return *model;
  }

  const StageRequest& request_;
  WeightCache& cache_;
  std::shared_ptr<const LanguageModel> aligned_, served_, judge_;
};

std::shared_ptr<Judge> made_judge_of(const Json& task) {
  const auto folder = task.at("folder").get<std::string>();
  const Json& settings = task.at("judge");
  return settings.contains("library") ? made_judge(settings, folder) : made_builtin_judge(settings, folder);
}

// One stage on its way to an artifact.
class StageRun {
 public:
  StageRun(const StageRequest& request, StageTools& tools, const fs::path& made)
      : request_(request),
        task_(request.task),
        tools_(tools),
        made_(made),
        context_(request.task, aligned_maker(), training_checkpoint()) {}

  Manifest run() {
    switch (request_.kind) {
      case StageKind::kAlign:
        align();
        break;
      case StageKind::kCollect:
        collect();
        break;
      case StageKind::kScreen:
        screen();
        break;
      case StageKind::kFinetune:
        finetune();
        break;
      case StageKind::kRepair:
        repair();
        break;
      case StageKind::kGenerate:
        generate();
        break;
      case StageKind::kJudge:
        judge();
        break;
    }
    const std::int64_t tokens = manifest_.cost.value("tokens", std::int64_t{0}) + context_.tokens();
    if (tokens > 0) manifest_.cost["tokens"] = tokens;
    for (const auto& [name, figure] : context_.reports().items()) manifest_.reports[name] = figure;
    return std::move(manifest_);
  }

  /// Once the artifact is stored: new weights are kept warm, and their training has nothing left to go on with.
  void keep_warm(const Manifest& stored) {
    if (!child_) return;
    tools_.store.remove_training_checkpoints(request_.key);
    WeightsRef weights = weights_before();
    weights.chain.push_back({request_.kind, stored.key, stored.digest});
    tools_.weights.put(weights, child_);
  }

 private:
  TrainingCheckpoint training_checkpoint() const {
    return {tools_.store.training_checkpoint(request_.key), kCheckpointSeconds, [this] { return request_.key; }};
  }

  // Where nothing of the customer ran yet, the parent is the base.
  WeightsRef weights_before() const { return request_.weights.at("weights"); }

  std::function<std::shared_ptr<const LanguageModel>()> aligned_maker() {
    const auto aligned = request_.weights.find("aligned");
    if (aligned == request_.weights.end()) return {};
    return [this, weights = aligned->second] { return tools_.weights.get(weights); };
  }

  DefenseStages defense(const Json& settings) const { return made_defense(settings, task_.at("folder").get<std::string>()); }

  Dataset input_data() {
    Dataset data;
    const ArtifactRef& input = request_.inputs.at("data");
    const fs::path path = tools_.store.file(input.kind, input.key, kDataFile);
    read_jsonl(path, [&](Json row, std::int64_t number) {
      const std::string origin = row.value("origin", "");
      row.erase("origin");
      data.push_back(example_from_json(row, path.string() + ":" + std::to_string(number)));
      data.back().origin = origin;
    });
    return data;
  }

  // Beside each row stands where it came from, without its folder; the digest is that of the rows alone.
  void write_data(const Dataset& data) {
    std::string text, content;
    for (const auto& example : data) {
      Json row = example_to_json(example);
      content += canonical(row) + "\n";
      if (!example.origin.empty()) row["origin"] = fs::path(example.origin).filename().string();
      text += canonical(row) + "\n";
    }
    write_file(made_ / kDataFile, text);
    manifest_.digest = sha256(content);
    manifest_.reports["rows"] = {{"value", data.size()}, {"n", data.size()}};
  }

  // The child's content is the parent's and the change. It is made anew from the file, so that it is the same bits here and
  // wherever it is loaded later.
  void write_weights(const LanguageModel& parent, const LanguageModel& trained) {
    const fs::path path = made_ / kChangeFile;
    write_weight_change(path, parent, trained);
    child_ = parent.clone();
    apply_weight_change(*child_, path);
    manifest_.digest = sha256(canonical({{"parent", weights_before().digest()}, {"change", sha256_file(path)}}));
  }

  void train_stage(TrainingStage* stage, Dataset data) {
    TrainingOptions options = training_options_from_json(task_.at("options"));
    const auto parent = tools_.weights.get(weights_before());
    const auto model = parent->clone();
    TrainingRun run;
    run.order_seed = context_.seed(std::string(to_string(request_.kind)) + " order");
    run.init_seed = context_.seed(std::string(to_string(request_.kind)) + " init");
    if (stage != nullptr) {
      stage->prepare(options, data, context_);
      run.step = [stage](Trainer& trainer, const Batch& batch) { return stage->step(trainer, batch); };
    } else {  // a plugin's step may remember something that no checkpoint would hold
      run.checkpoint = training_checkpoint();
    }
    run.on_rows = [this](const EncodedRows& rows) { context_.report_rows(rows); };
    const auto steps = train(*model, data, options, run);
    std::int64_t tokens = 0;
    for (const auto& step : steps) tokens += step.tokens;
    manifest_.cost["tokens"] = tokens;
    if (!steps.empty()) manifest_.reports["last-loss"] = {{"value", steps.back().loss}, {"n", steps.size()}};
    write_weights(*parent, *model);
  }

  void align() {
    DefenseStages stages;
    if (task_.contains("plugin")) stages = defense(task_.at("plugin"));
    train_stage(stages.align, load_data(data_source_from_json(task_.at("alignment"))));
  }

  void collect() {
    const auto attack = made_attack(task_.at("plugin"), task_.at("folder").get<std::string>());
    write_data(attack->collect(context_));
  }

  void screen() { write_data(defense(task_.at("plugin")).screen->screen(input_data(), context_)); }

  void finetune() {
    const Dataset data = input_data();
    if (data.empty()) {  // a screen kept nothing, so there is nothing to tune on: the weights are the parent's
      const auto parent = tools_.weights.get(weights_before());
      write_weight_change(made_ / kChangeFile, *parent, *parent);
      manifest_.digest = weights_before().digest();
      manifest_.reports["rows"] = {{"value", 0}, {"n", 0}};
      return;
    }
    DefenseStages stages;
    if (task_.contains("plugin")) stages = defense(task_.at("plugin"));
    train_stage(stages.tune, data);
  }

  void repair() {
    const DefenseStages stages = defense(task_.at("plugin"));
    const auto parent = tools_.weights.get(weights_before());
    const auto model = parent->clone();
    stages.repair->repair(*model, context_);
    write_weights(*parent, *model);
  }

  ProbeRows probe_rows(const char* sources) {
    std::vector<DataSource> named;
    for (const auto& source : task_.at(sources)) named.push_back(data_source_from_json(source));
    return holdfast::probe_rows(load_probes(named), task_.at("limit").get<std::int64_t>());
  }

  std::vector<Generation> probes() {
    std::shared_ptr<Attack> attack;
    if (task_.contains("wrapper")) {
      attack = made_attack(task_.at("wrapper"), task_.at("folder").get<std::string>());
    }
    const Dataset rows = probe_rows("probes").asked;
    std::vector<Generation> generations;
    std::vector<Conversation> asked;
    for (const auto& row : rows) {
      Generation each{row.tags.at("id"), row.tags, row.messages, row.messages, {}, ""};
      if (attack) attack->wrap(each.asked);
      asked.push_back(each.asked);
      generations.push_back(std::move(each));
    }
    if (attack && prompts_digest(rows, asked) != request_.document.at("stage").at("prompts")) {
      throw Error(
          "the attack \"" + task_.at("wrapper").at("name").get<std::string>() +
          "\" wraps the prompts in another way than when the matrix was planned: a template is a function of its settings");
    }
    return generations;
  }

  void generate() {
    GenerateOptions options = generate_options_from_json(task_.at("options"));
    options.seed = context_.seed("sampling");
    const auto model = tools_.weights.get(weights_before());
    std::vector<DefenseStages> stages;  // own the serve stages below
    std::vector<NamedServe> inner;
    const auto serve = [&](const Json& settings) {
      stages.push_back(defense(settings));
      return NamedServe{settings.at("name").get<std::string>(), stages.back().serve};
    };
    for (const auto& settings : task_.value("inner", Json::array())) inner.push_back(serve(settings));
    Serving serving(*model, options, std::move(inner), &context_);
    std::vector<Generation> generations;
    if (task_.contains("plugin")) {
      const ArtifactRef& input = request_.inputs.at("generations");
      generations = read_generations(tools_.store.file(input.kind, input.key, kGenerationsFile));
      serving.guard(generations, serve(task_.at("plugin")));
    } else {
      generations = probes();
      serving.answer(generations);
    }
    manifest_.cost["tokens"] = serving.tokens();
    write_generations(made_ / kGenerationsFile, generations);
    manifest_.digest = sha256_file(made_ / kGenerationsFile);
  }

  void write_verdicts(const std::string& judge, const std::vector<std::string>& ids, const std::vector<Verdict>& verdicts) {
    if (verdicts.size() != ids.size()) {
      throw Error("the judge \"" + judge + "\" gave " + std::to_string(verdicts.size()) + " verdicts on " +
                  std::to_string(ids.size()) + " replies, expected one for each, in order");
    }
    std::string text;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      Json row = {{"id", ids[i]}, {"judge", judge}, {"outcomes", verdicts[i].outcomes}, {"raw", Json()}};
      if (!verdicts[i].raw.empty()) row["raw"] = to_json(verdicts[i].raw);
      if (!verdicts[i].prompt.empty()) row["prompt_sha256"] = sha256(verdicts[i].prompt);
      text += canonical(row) + "\n";
    }
    write_file(made_ / kVerdictsFile, text);
    manifest_.digest = sha256(text);
  }

  void judge() {
    if (task_.contains("tasks")) return measure();
    const ArtifactRef& input = request_.inputs.at("generations");
    std::vector<std::string> ids;
    std::vector<JudgedReply> replies;
    for (const auto& each : read_generations(tools_.store.file(input.kind, input.key, kGenerationsFile))) {
      ids.push_back(each.id);
      replies.push_back(read_reply({each.id, each.probe, each.reply, each.tags, each.prompt, each.cut}));
    }
    StageJudgeModels models(request_, tools_.weights);
    write_verdicts(task_.at("judge").at("name"), ids, made_judge_of(task_)->score(replies, models));
  }

  void measure() {
    const Dataset rows = probe_rows("tasks").measured;
    std::vector<std::string> ids;
    for (const auto& row : rows) ids.push_back(row.tags.at("id"));
    write_verdicts("tasks", ids, measure_tasks(rows, *tools_.weights.get(weights_before())));
  }

  const StageRequest& request_;
  const Json& task_;
  StageTools& tools_;
  fs::path made_;
  StageContext context_;
  Manifest manifest_;
  std::shared_ptr<LanguageModel> child_;
};

}  // namespace

Json to_json(const StageRequest& request) {
  Json inputs = Json::object();
  for (const auto& [role, input] : request.inputs) inputs[role] = {{"kind", to_string(input.kind)}, {"key", input.key}};
  Json weights = Json::object();
  for (const auto& [role, ref] : request.weights) weights[role] = to_json(ref);
  return {{"kind", to_string(request.kind)},
          {"key", request.key},
          {"document", request.document},
          {"task", request.task},
          {"inputs", inputs},
          {"weights", weights}};
}

StageRequest stage_request_from_json(const Json& json) {
  StageRequest request;
  request.kind = stage_kind(json.at("kind").get<std::string>());
  request.key = json.at("key").get<std::string>();
  request.document = json.at("document");
  request.task = json.at("task");
  for (const auto& [role, input] : json.at("inputs").items()) {
    request.inputs[role] = {stage_kind(input.at("kind").get<std::string>()), input.at("key").get<std::string>()};
  }
  for (const auto& [role, ref] : json.at("weights").items()) request.weights[role] = weights_ref_from_json(ref);
  return request;
}

Manifest run_stage(const StageRequest& request, StageTools& tools) {
  const auto start = std::chrono::steady_clock::now();
  check_inputs(request, tools.store);
  const fs::path made = tools.store.begin();
  try {
    StageRun run(request, tools, made);
    Manifest manifest = run.run();
    check_inputs(request, tools.store);
    manifest.kind = request.kind;
    manifest.key = request.key;
    manifest.document = request.document;
    manifest.versions = versions();
    manifest.cost["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const Manifest stored = tools.store.commit(made, std::move(manifest));
    run.keep_warm(stored);
    return stored;
  } catch (...) {
    tools.store.abandon(made);
    throw;
  }
}

}  // namespace holdfast
