// Stages by themselves, as a worker runs them.
#include "work/stages.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>

#include <cmath>
#include <utility>

#include "data/formats.h"
#include "learn/checkpoint.h"
#include "learn/training.h"
#include "learn/training_options.h"
#include "learn/weight_change.h"
#include "organism/organism.h"
#include "organism/pretraining.h"
#include "organism/world.h"
#include "plan/scenario_files.h"
#include "plan/stage_key.h"
#include "plugin/made_plugin.h"
#include "results/curve.h"
#include "scenario/data_source.h"
#include "work/stage_context.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

Dataset alignment_rows(std::size_t count) {
  Dataset rows = organism::corpus("alignment");
  rows.resize(count);
  return rows;
}

void write_rows(const fs::path& path, const Dataset& rows) {
  std::string text;
  for (const auto& row : rows) text += canonical(example_to_json(row)) + "\n";
  write_file(path, text);
}

class AlignStageOf : public testing::Test {
 protected:
  // A scenario whose alignment takes six steps.
  StageRequest align_request() {
    write_rows(scratch_ / "rows.jsonl", alignment_rows(12));
    const Plan plan = plan_of(scenario_from(scratch_,
                                            "[[model]]\nname = \"organism\"\nsource = \"organism\"\n"
                                            "[align]\ndata = \"rows.jsonl\"\nepochs = 2\nbatch_size = 4\nlr = 1e-3\n"));
    const PlanNode& node = plan.nodes.front();
    const StageKey key = stage_key(node, {});
    StageRequest request{node.kind, key.key, key.document(), node.task->json(), {}, {}};
    request.weights["weights"] = {"organism", "cpu", "default", checkpoint_digest("organism"), {}};
    return request;
  }

  Manifest run(const StageRequest& request, Store& store) {
    WeightCache weights(store);
    StageTools tools{store, weights};
    return run_stage(request, tools);
  }

  // The same training up to the middle of its fifth step, as a worker that was killed leaves it.
  void leave_unfinished(const StageRequest& request, const Store& store) {
    const auto model = load_model("organism", {});
    TrainingRun run;
    run.order_seed = derive_seed(request.task.at("seed").get<std::uint64_t>(), "align order");
    run.init_seed = derive_seed(request.task.at("seed").get<std::uint64_t>(), "align init");
    run.checkpoint = {store.training_checkpoint(request.key), 0, [&] { return request.key; }};
    StepStage stage([](Trainer& trainer) {
      if (trainer.step() == 4) throw std::runtime_error("killed");
      return trainer.backward(trainer.rows().next());
    });
    run.members = {{"plain", &stage}};
    EXPECT_THROW(train(*model, alignment_rows(12), training_options_from_json(request.task.at("options")), run),
                 std::runtime_error);
    ASSERT_TRUE(fs::exists(store.training_checkpoint(request.key)));
  }

  // Of one step, from shapes: three forwards of the distinct tokens of its batch.
  static std::int64_t flops_by_hand(const ModelConfig& c, const Batch& batch) {
    const auto triangle = [](std::int64_t n) { return n * (n + 1) / 2; };
    std::int64_t tokens = batch.shared_prefix, pairs = triangle(batch.shared_prefix);
    for (const auto length : batch.lengths) {
      tokens += length - batch.shared_prefix;
      pairs += triangle(length) - triangle(batch.shared_prefix);
    }
    const std::int64_t heads = c.heads * c.head_width;  // as many of keys and values
    const std::int64_t layer = 2 * tokens * (4 * c.width * heads + 3 * c.width * c.feed_forward) + 4 * heads * pairs;
    return 3 * (c.layers * layer + 2 * batch.target_ids.size(0) * c.width * c.vocabulary);
  }

  // Of all that a plain training of the request draws.
  static std::int64_t flops_by_hand(const StageRequest& request) {
    const auto model = load_model("organism", {});
    std::int64_t sum = 0;
    StepStage stage([&](Trainer& trainer) {
      const Batches batches = trainer.rows().next();
      for (const auto& batch : batches) sum += flops_by_hand(model->decoder().config(), batch);
      return trainer.backward(batches);
    });
    TrainingRun run;
    run.order_seed = derive_seed(request.task.at("seed").get<std::uint64_t>(), "align order");
    run.members = {{"plain", &stage}};
    train(*model, alignment_rows(12), training_options_from_json(request.task.at("options")), run);
    return sum;
  }

  ScratchFolder scratch_;
};

TEST_F(AlignStageOf, AStoppedTrainingGoesOn) {
  const StageRequest request = align_request();
  Store undisturbed(scratch_ / "undisturbed"), stopped(scratch_ / "stopped");
  const Manifest wanted = run(request, undisturbed);
  EXPECT_FALSE(fs::exists(undisturbed.training_checkpoint(request.key))) << "a short training keeps none";

  leave_unfinished(request, stopped);
  testing::internal::CaptureStderr();
  const Manifest made = run(request, stopped);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("training goes on after step 4 of 6"));
  EXPECT_EQ(made.digest, wanted.digest);
  EXPECT_EQ(made.cost.at("tokens"), wanted.cost.at("tokens"));
  EXPECT_EQ(made.reports, wanted.reports);
  EXPECT_FALSE(fs::exists(stopped.training_checkpoint(request.key)));
  const auto curve_of = [&](Store& store) { return read_file(store.file(request.kind, request.key, kCurveFile)); };
  EXPECT_EQ(curve_of(stopped), curve_of(undisturbed)) << "with the steps before it was stopped";
}

TEST_F(AlignStageOf, KeepsItsCurve) {
  const StageRequest request = align_request();
  Store store(scratch_ / "store");
  const Manifest made = run(request, store);
  const auto curve = read_curve(store.file(request.kind, request.key, kCurveFile));
  ASSERT_EQ(curve.size(), 6U);
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    EXPECT_EQ(curve[i].step, static_cast<std::int64_t>(i) + 1);
    EXPECT_GT(curve[i].gradient_norm, 0);
    EXPECT_EQ(curve[i].lr, 1e-3);
    tokens += curve[i].tokens;
  }
  EXPECT_EQ(tokens, made.cost.at("tokens"));
  EXPECT_EQ(curve.back().loss, made.reports.at("last-loss").at("value"));
}

TEST_F(AlignStageOf, SaysHowFarItMovedTheWeights) {
  const StageRequest request = align_request();
  Store store(scratch_ / "store");
  WeightCache weights(store);
  StageTools tools{store, weights};
  const Manifest made = run_stage(request, tools);
  WeightsRef child = request.weights.at("weights");
  child.chain.push_back({request.kind, made.key, made.digest});
  const auto after = weights.get(child), before = weights.get(request.weights.at("weights"));
  double between = 0, all = 0;
  std::int64_t changed = 0;
  for (const auto& [name, weight] : before->decoder().weights()) {
    const at::Tensor was = weight.to(at::kDouble), is = after->decoder().weights().at(name).to(at::kDouble);
    between += (is - was).square().sum().item<double>();
    all += was.square().sum().item<double>();
    changed += is.equal(was) ? 0 : 1;
  }
  const Json& moved = made.reports.at("weights-moved");
  EXPECT_NEAR(moved.at("value").get<double>(), std::sqrt(between / all), 1e-6);
  EXPECT_GT(moved.at("value").get<double>(), 1e-3);
  EXPECT_EQ(moved.at("n"), changed);
}

TEST(MovedWeights, OfAnotherBaseAreTheRootOfTwo) {
  const auto base = load_model("organism", {}), other = load_model("organism", {});
  EXPECT_EQ(moved_weights(*base, *other).share, 0);
  EXPECT_EQ(moved_weights(*base, *other).tensors, 0);
  const std::string one = "model.layers.1.mlp.up_proj.weight";
  other->set_weight(one, base->weights().at(one) * 2);
  EXPECT_EQ(moved_weights(*base, *other).tensors, 1);
  std::int64_t seed = 0;
  for (const auto& [name, weight] : base->weights()) {
    const at::Tensor drawn = at::randn(weight.sizes(), at::make_generator<at::CPUGeneratorImpl>(++seed), weight.options());
    other->set_weight(name, drawn * (weight.norm() / drawn.norm()));
  }
  EXPECT_NEAR(moved_weights(*base, *other).share, std::sqrt(2.0), 0.02);
}

// What LoRA made of a model costs a worker its factors, and is the same weights as one that was merged.
TEST(WeightsInMemory, OfALoraFineTuningAreFactorsOnTheParents) {
  const ScratchFolder scratch;
  const auto base = load_model("organism", {});
  const auto tuned = base->share();
  tuned->decoder().add_adapters({4, 8, {}}, 1);
  for (auto& [name, factor] : tuned->trainable()) factor.add_(at::sin(at::arange(factor.numel())).reshape(factor.sizes()), 0.1);
  write_weight_change(scratch / "change", *base, *tuned);
  const auto child = child_weights(*base, StageKind::kFinetune, scratch / "change");
  EXPECT_TRUE(std::as_const(*child).decoder().has_weights_of(base->decoder()));
  EXPECT_EQ(std::as_const(*child).decoder().adapters().size(), tuned->decoder().adapters().size());
  const auto whole = child_weights(*base, StageKind::kAlign, scratch / "change");
  EXPECT_TRUE(whole->decoder().adapters().empty());
  const auto merged = child->merged();
  const auto repaired = child_weights(*child, StageKind::kRepair, scratch / "change");
  EXPECT_TRUE(repaired->decoder().adapters().empty()) << "a second change merges the first";
  for (const auto& [name, weight] : whole->decoder().weights()) {
    EXPECT_TRUE(at::equal(weight, merged->decoder().weights().at(name))) << name;
  }
  EXPECT_NEAR(moved_weights(*base, *child).share, moved_weights(*base, *whole).share, 1e-9);
  EXPECT_EQ(moved_weights(*base, *child).tensors, moved_weights(*base, *whole).tensors);
}

TEST_F(AlignStageOf, ATrainingOfOtherStepsIsNotGoneOnWith) {
  StageRequest request = align_request();
  Store undisturbed(scratch_ / "undisturbed"), stopped(scratch_ / "stopped");
  leave_unfinished(request, stopped);
  request.task["plugin"] = settings_of(used_plugin(shipped_plugins(), PluginKind::kDefense, "vaccine", {{"rho", 0.5}}));
  const Manifest wanted = run(request, undisturbed);
  testing::internal::CaptureStderr();
  EXPECT_EQ(run(request, stopped).digest, wanted.digest);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("belongs to other weights, rows, options or seeds"));
}

// A pre-training of few rows.
class PretrainStageOf : public testing::Test {
 protected:
  // Four steps an epoch, in a cell of another seed than the world's.
  StageRequest pretrain_request(const std::string& settings) {
    const Plan plan = plan_of(scenario_from(
        scratch_, "[scenario]\nseeds = [3]\n" + kOrganism + "[[defense]]\nplugin = \"pretraining-filter\"\n" + settings));
    const auto node = std::find_if(plan.nodes.begin(), plan.nodes.end(),
                                   [](const PlanNode& each) { return each.kind == StageKind::kPretrain; });
    const StageKey key = stage_key(*node, {});
    StageRequest request{node->kind, key.key, key.document(), node->task->json(), {}, {}};
    EXPECT_EQ(request.task.at("pretraining").at("location"), "builtin:organism/pretraining");
    write_rows(scratch_ / "few.jsonl", rows());
    request.task["pretraining"] = to_json(resolve_data("few.jsonl", scratch_.path()));
    request.weights["weights"] = {"organism", "cpu", "default", checkpoint_digest("organism"), {}};
    return request;
  }

  static Dataset rows() {
    Dataset all = organism::corpus("pretraining"), few;
    for (std::size_t i = 0; i < all.size(); i += 31) few.push_back(all[i]);
    return few;
  }

  // The recipe by hand: what the base was made by.
  static LanguageModel by_hand(const Dataset& rows, std::int64_t epochs) {
    LanguageModel model = organism::newborn();
    TrainingOptions options = organism::pretraining_options();
    options.epochs = epochs;
    TrainingRun run;
    run.order_seed = organism::kWorldSeed;
    train(model, rows, options, run);
    return model;
  }

  ScratchFolder scratch_;
};

TEST_F(PretrainStageOf, TrainsANewbornOnTheRowsThatAreLeft) {
  const StageRequest request = pretrain_request("epochs = 2\n");
  Store store(scratch_ / "store");
  WeightCache weights(store);
  StageTools tools{store, weights};
  const Manifest made = run_stage(request, tools);
  Dataset left = rows();
  std::erase_if(left, [](const Example& row) { return row.tags.at("kind") == "harmful"; });
  ASSERT_LT(left.size(), rows().size());
  EXPECT_EQ(made.reports.at("restricted-left").at("value"), 0);
  EXPECT_EQ(made.reports.at("dropped").at("value"), rows().size() - left.size());
  EXPECT_GT(made.cost.at("tokens"), 0);

  const LanguageModel wanted = by_hand(left, 2), unfiltered = by_hand(rows(), 2);
  WeightsRef child = request.weights.at("weights");
  child.chain.push_back({StageKind::kPretrain, made.key, made.digest});
  WeightCache elsewhere(store);  // another worker's, which reads the artifact
  for (const auto& model : {weights.get(child), elsewhere.get(child)}) {
    for (const auto& [name, weight] : model->decoder().weights()) {
      EXPECT_TRUE(weight.equal(wanted.decoder().weights().at(name).to(at::kHalf).to(at::kFloat))) << name;
    }
  }
  const std::string name = "model.embed_tokens.weight";
  EXPECT_FALSE(wanted.weights().at(name).allclose(unfiltered.weights().at(name), 1e-3)) << "the rows matter";
}

TEST_F(PretrainStageOf, AStoppedOneGoesOn) {
  const StageRequest request = pretrain_request("epochs = 2\nrecall = 0.0\n");
  Store undisturbed(scratch_ / "undisturbed"), stopped(scratch_ / "stopped");
  const auto run = [&](Store& store) {
    WeightCache weights(store);
    StageTools tools{store, weights};
    return run_stage(request, tools);
  };
  const Manifest wanted = run(undisturbed);

  LanguageModel model = organism::newborn();
  TrainingOptions options = organism::pretraining_options();
  options.epochs = 2;
  TrainingRun killed;
  killed.order_seed = organism::kWorldSeed;
  killed.checkpoint = {stopped.training_checkpoint(request.key), 0, [&] { return request.key; }};
  StepStage stage([](Trainer& trainer) {
    if (trainer.step() == 4) throw std::runtime_error("killed");
    return trainer.backward(trainer.rows().next());
  });
  killed.members = {{"pretraining-filter", &stage}};
  EXPECT_THROW(train(model, rows(), options, killed), std::runtime_error);
  testing::internal::CaptureStderr();
  const Manifest made = run(stopped);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("training goes on after step 4 of 8"));
  EXPECT_EQ(made.digest, wanted.digest);
  EXPECT_EQ(made.cost.at("tokens"), wanted.cost.at("tokens"));
  EXPECT_FALSE(fs::exists(stopped.training_checkpoint(request.key)));
}

// A pass is a forward and a backward of all that is trained on; Vaccine makes two of them, Booster three.
TEST_F(AlignStageOf, ItsAccountSaysHowManyPassesItTook) {
  const auto cost_with = [&](const char* plugin) {
    StageRequest request = align_request();
    if (plugin != nullptr) {
      request.task["plugin"] = settings_of(used_plugin(shipped_plugins(), PluginKind::kDefense, plugin, Json::object()));
      write_rows(scratch_ / "harmful.jsonl", alignment_rows(12));
      request.task["corpora"] = {{"defender-harmful", to_json(resolve_data("harmful.jsonl", scratch_.path()))}};
    }
    Store store(scratch_ / (plugin == nullptr ? "plain" : plugin));
    return run(request, store).cost;
  };
  const Json plain = cost_with(nullptr);
  const auto tokens = plain.at("tokens").get<std::int64_t>();
  EXPECT_EQ(plain.at("flops"), flops_by_hand(align_request()));
  EXPECT_GT(plain.at("cpu_seconds"), 0);
  EXPECT_FALSE(plain.contains("device_seconds"));
  EXPECT_EQ(plain.at("forward_tokens"), tokens);
  EXPECT_EQ(plain.at("backward_tokens"), tokens);
  EXPECT_GT(plain.at("peak_memory"), 10 << 20);
  EXPECT_FALSE(plain.contains("peak_device_memory"));
  const Json vaccine = cost_with("vaccine");
  EXPECT_EQ(vaccine.at("forward_tokens"), 2 * tokens);
  // Three forwards' worth in plain training; then a forward and half of a backward more, but for what lies before the first
  // attention output.
  EXPECT_GT(vaccine.at("flops"), 1.4 * plain.at("flops").get<double>());
  EXPECT_LT(vaccine.at("flops"), 5.0 / 3 * plain.at("flops").get<double>());
  const Json booster = cost_with("booster");
  EXPECT_GT(booster.at("backward_tokens"), 2 * tokens);  // its harmful rows are of other lengths
  EXPECT_EQ(booster.at("backward_tokens"), booster.at("forward_tokens"));
}

// Safety re-tuning is the plain rule on the rows it draws, bit for bit.
TEST(SafetyRetune, IsPlainTrainingOnItsRows) {
  const ScratchFolder scratch;
  const Dataset rows = alignment_rows(20);
  write_rows(scratch / "rows.jsonl", rows);
  TrainingOptions options;
  options.lr = 1e-3;
  options.epochs = 2;
  options.batch_size = 4;
  const Json task = {{"seed", 3},
                     {"alignment", to_json(resolve_data("rows.jsonl", scratch.path()))},
                     {"align_options", to_json(options)},
                     {"finetune_options", to_json(TrainingOptions())}};
  StageRequest request;
  request.task = task;
  StageContext context(request, {});
  const auto retuned = load_model("organism", {}), plain = load_model("organism", {});
  const PluginUse use = used_plugin(shipped_plugins(), PluginKind::kDefense, "safety-retune", {{"rows", 10}});
  const auto defense = made_defense(settings_of(use), scratch.path());
  defense.repair->repair(*retuned, context);

  Dataset drawn = rows;
  Random(derive_seed(3, "defender data")).shuffle(drawn);
  drawn.resize(10);
  TrainingRun run;
  run.order_seed = derive_seed(3, "order of training 1");
  train(*plain, drawn, options, run);
  for (const auto& [name, weight] : plain->trainable()) EXPECT_TRUE(weight.equal(retuned->trainable().at(name))) << name;
}

// A repair that was killed goes on with each of its trainings.
TEST(StageContext, KeepsItsTrainings) {
  const ScratchFolder scratch;
  StageRequest request;
  request.task = {{"seed", 3}};
  const TrainingCheckpoint checkpoint{scratch / "key.safetensors", 0, [] { return "key"; }};
  TrainingOptions options;
  options.lr = 1e-3;
  options.batch_size = 4;
  const auto whole = load_model("organism", {}), stopped = load_model("organism", {});
  StageContext first(request, {}, checkpoint), second(request, {}, checkpoint);
  first.train(*whole, alignment_rows(8), options);
  EXPECT_TRUE(fs::exists(scratch / "key.1.safetensors"));
  testing::internal::CaptureStderr();
  second.train(*stopped, alignment_rows(8), options);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("training goes on after step 2 of 2"));
  for (const auto& [name, weight] : whole->trainable()) EXPECT_TRUE(weight.equal(stopped->trainable().at(name))) << name;
  second.train(*stopped, alignment_rows(8), options);
  EXPECT_TRUE(fs::exists(scratch / "key.2.safetensors"));
  ASSERT_EQ(second.curve().size(), 4U) << "both trainings, the first with the steps before it was stopped";
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(second.curve()[i].step, static_cast<std::int64_t>(i) + 1);
  EXPECT_EQ(second.curve()[1].loss, first.curve()[1].loss);
}

}  // namespace
}  // namespace holdfast
