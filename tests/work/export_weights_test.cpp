// Exported folders, read again with our own loader.
#include "work/export_weights.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "learn/checkpoint.h"
#include "learn/weight_change.h"
#include "store/stored_weights.h"
#include "store/weight_stages.h"
#include "work/weight_cache.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ExportedWeights : public testing::Test {
 protected:
  // A stage that changes a model as told.
  Manifest add(StageKind kind, const std::string& parent, const std::function<void(LanguageModel&)>& change) {
    const c10::NoGradGuard no_grad;
    const auto before = parent.empty() ? load_model("organism", {}) : weights_of(parent)->merged();
    const auto after = before->copy();
    change(*after);
    write_weight_change(scratch_ / "change", *before, *after);
    const Manifest stage = store_stage(store_, kind, base_, parent, read_file(scratch_ / "change"));
    refs_[stage.digest] = stored_weights(store_, stage);
    refs_[stage.digest].source = "organism";
    return stage;
  }

  static void nudge(LanguageModel& model) {
    const at::Tensor weight = model.effective_weight("model.layers.0.mlp.up_proj.weight");
    model.set_weight("model.layers.0.mlp.up_proj.weight",
                     weight + 0.01 * at::sin(at::arange(weight.numel())).reshape(weight.sizes()));
  }

  static void adapt(LanguageModel& model, std::int64_t rank, double alpha, std::vector<std::string> targets) {
    model.decoder().add_adapters({rank, alpha, std::move(targets)}, 7);
    for (auto& [name, factor] : model.trainable())
      factor.add_(0.05 * at::cos(at::arange(factor.numel())).reshape(factor.sizes()));
  }

  std::shared_ptr<const LanguageModel> weights_of(const std::string& digest) {
    WeightCache cache(store_);
    return cache.get(refs_.at(digest));
  }

  // The stage's weights and those of the folder, once what lies on them is merged, bit for bit.
  void expect_same(const Manifest& stage, const fs::path& folder) {
    const auto wanted = weights_of(stage.digest)->merged();
    const auto found = load_model(folder.string(), {});
    found->decoder().merge_adapters();
    ASSERT_EQ(found->decoder().weights().size(), wanted->decoder().weights().size());
    for (const auto& [name, weight] : wanted->decoder().weights()) {
      EXPECT_TRUE(at::equal(weight, found->decoder().weights().at(name))) << name;
    }
  }

  bool export_to(const std::string& folder, const Manifest& stage, ExportForm form = ExportForm::kEither) {
    return export_weights(store_, refs_.at(stage.digest), form, scratch_ / folder);
  }

  std::string failure(const Manifest& stage, ExportForm form = ExportForm::kEither) {
    try {
      export_to("refused", stage, form);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  ScratchFolder scratch_;
  Store store_{scratch_ / "store"};
  std::string base_ = checkpoint_digest("organism");
  std::map<std::string, WeightsRef> refs_;  // by digest
};

TEST_F(ExportedWeights, AreTheStagesBitForBit) {
  const Manifest align = add(StageKind::kAlign, "", nudge);
  const Manifest tuned = add(StageKind::kFinetune, align.digest, [](LanguageModel& model) { adapt(model, 4, 8, {}); });
  const Manifest repaired = add(StageKind::kRepair, tuned.digest, nudge);
  EXPECT_FALSE(export_to("align", align));
  expect_same(align, scratch_ / "align");
  EXPECT_FALSE(export_to("repaired", repaired));
  expect_same(repaired, scratch_ / "repaired");
  EXPECT_FALSE(export_to("merged", tuned, ExportForm::kMerged));
  expect_same(tuned, scratch_ / "merged");
}

TEST_F(ExportedWeights, OfAnAdapterAreTheStagesOnceItIsMerged) {
  const Manifest align = add(StageKind::kAlign, "", nudge);
  const Manifest tuned = add(StageKind::kFinetune, align.digest, [](LanguageModel& model) {
    adapt(model, 3, 1.0 / 3, {"q_proj", "down_proj"});
  });
  EXPECT_TRUE(export_to("adapter", tuned));
  expect_same(tuned, scratch_ / "adapter");
  expect_same(align, scratch_ / "adapter" / "base");
  const Json config = parse_json(read_file(scratch_ / "adapter" / "adapter_config.json"), "config");
  EXPECT_EQ(config.at("r"), 3);
  EXPECT_EQ(config.at("target_modules"), Json({"down_proj", "q_proj"}));
  EXPECT_EQ(config.at("base_model_name_or_path"), (scratch_ / "adapter" / "base").string());
  EXPECT_FALSE(fs::exists(scratch_ / "adapter" / "model.safetensors"));
}

TEST_F(ExportedWeights, OnTheCheckpointItselfNameItsFolder) {
  const Manifest tuned = add(StageKind::kFinetune, "", [](LanguageModel& model) { adapt(model, 4, 8, {}); });
  EXPECT_TRUE(export_to("adapter", tuned, ExportForm::kAdapter));
  expect_same(tuned, scratch_ / "adapter");
  EXPECT_FALSE(fs::exists(scratch_ / "adapter" / "base"));
}

TEST_F(ExportedWeights, BehindARepairThatDidNothingAreStillAnAdapter) {
  const Manifest tuned = add(StageKind::kFinetune, "", [](LanguageModel& model) { adapt(model, 4, 8, {}); });
  const Manifest idle = store_stage(store_, StageKind::kRepair, base_, tuned.digest, "nothing", true);
  refs_[idle.digest] = stored_weights(store_, idle);
  refs_[idle.digest].source = "organism";
  EXPECT_TRUE(export_to("adapter", idle));
  expect_same(tuned, scratch_ / "adapter");
}

TEST_F(ExportedWeights, ThatNoStageChangedAreTheCheckpoint) {
  ASSERT_FALSE(export_weights(store_, {"organism", "cpu", "default", base_, {}}, ExportForm::kEither, scratch_ / "base"));
  const auto wanted = load_model("organism", {}), found = load_model((scratch_ / "base").string(), {});
  for (const auto& [name, weight] : wanted->decoder().weights()) {
    EXPECT_TRUE(at::equal(weight, found->decoder().weights().at(name))) << name;
  }
}

TEST_F(ExportedWeights, AreRefusedWhereTheyWouldNotBeWhatWasAsked) {
  const Manifest align = add(StageKind::kAlign, "", nudge);
  EXPECT_THAT(failure(align, ExportForm::kAdapter), HasSubstr("is no LoRA adapter: leave --form out, or give --form merged"));
  refs_[align.digest].source = "/nowhere/at/all";
  EXPECT_THAT(failure(align), AllOf(HasSubstr("is not at \"/nowhere/at/all\""), HasSubstr("--model")));
  refs_[align.digest].source = std::string(HOLDFAST_SOURCE_DIR) + "/tests/fixtures/llama/grouped";
  EXPECT_THAT(failure(align),
              AllOf(HasSubstr("is not the checkpoint that these weights were made on"), HasSubstr(base_.substr(0, 12))));
}

TEST_F(ExportedWeights, OfADamagedFileAreRefusedWithTheFolderToRemove) {
  const Manifest align = add(StageKind::kAlign, "", nudge);
  const fs::path stored = store_.folder(StageKind::kAlign, align.key);
  write_file(stored / "change.safetensors", std::string(fs::file_size(stored / "change.safetensors"), 'x'));
  EXPECT_THAT(failure(align), AllOf(HasSubstr("a stored file is damaged"), HasSubstr("remove " + stored.string())));
}

}  // namespace
}  // namespace holdfast
