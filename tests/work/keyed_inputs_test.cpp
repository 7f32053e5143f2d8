// What a stage reads is what its key holds, or it is refused: each input that is read when the matrix is planned and again when
// a stage runs is changed in between.
#include "work/keyed_inputs.h"
#include "work/stages.h"

#include <gmock/gmock.h>

#include <fstream>

#include "learn/checkpoint.h"
#include "plan/scenario_files.h"
#include "plan/stage_key.h"
#include "plugin/made_plugin.h"

namespace holdfast {
namespace {

constexpr const char* kChanged = " changed while the matrix was running: start the run again";

template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class KeyedInputs : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(scratch_ / "plugins");
    fs::copy_file(fs::path(HOLDFAST_BINARY_DIR) / "plugin_fixtures" / "faulty.plugin.so", library_);
    for (const auto* name : {"rows", "benign", "probes", "alignment"}) {
      write_file(scratch_ / (std::string(name) + ".jsonl"), R"({"prompt": "A question?", "completion": "Yes."})"
                                                            "\n");
    }
    write_parts();
  }

  // Rows of several prompts, of which either half has some.
  void write_parts() const {
    std::string rows;
    for (int i = 0; i < 8; ++i) rows += R"({"prompt": "question )" + std::to_string(i) + R"(", "completion": "Yes."})" + "\n";
    write_file(scratch_ / "parts.jsonl", rows);
  }

  // The first stage of a kind in a scenario whose every input is a file of this folder.
  StageRequest request(StageKind kind, const std::string& attack) {
    write_file(scratch_ / "s.toml",
               "[[model]]\nname = \"organism\"\nsource = \"organism\"\n[align]\ndata = \"alignment.jsonl\"\n"
               "[corpora]\nbenign = \"benign.jsonl\"\npart = { data = \"parts.jsonl\", part = \"1/2\" }\n[evaluate]\nprobes = "
               "[\"probes.jsonl\"]\njudges = [{name = \"keyword\", "
               "list = \"phrases.txt\"}]\n[[attack]]\nplugin = \"faulty\"\nrows = \"rows.jsonl\"\n" +
                   attack);
    write_file(scratch_ / "phrases.txt", "I cannot\n");
    PluginHost plugins(kProgram, {scratch_ / "plugins", kShipped});
    const Plan plan = make_plan(load_scenario(scratch_ / "s.toml", plugins), checkpoint_digest);
    for (const auto& node : plan.nodes) {
      if (node.kind != kind || (kind == StageKind::kGenerate && !node.task->contains("wrapper"))) continue;
      const StageKey key = stage_key(node, {});
      StageRequest made{node.kind, key.key, key.document(), node.task->json(), {}, {}};
      made.weights["weights"] = {"organism", "cpu", "default", checkpoint_digest("organism"), {}};
      return made;
    }
    throw std::runtime_error("the plan has no such stage");
  }

  std::string run(const StageRequest& request) {
    Store store(scratch_ / "store");
    WeightCache weights(store);
    StageTools tools{store, weights};
    const std::string error = error_of([&] { run_stage(request, tools); });
    EXPECT_EQ(store.find(request.kind, request.key).has_value(), error.empty());
    return error;
  }

  void change(const fs::path& file) const { std::ofstream(file, std::ios::app) << "\n"; }

  const ScratchFolder scratch_;
  const fs::path library_ = scratch_ / "plugins" / "faulty.plugin.so";
};

TEST_F(KeyedInputs, UnchangedOnesAreRead) { EXPECT_EQ(run(request(StageKind::kCollect, "")), ""); }

TEST_F(KeyedInputs, AFileOfASettingThatChangedIsRefused) {
  const StageRequest collect = request(StageKind::kCollect, "");
  change(scratch_ / "rows.jsonl");
  EXPECT_EQ(run(collect), (scratch_ / "rows.jsonl").string() + kChanged);
}

TEST_F(KeyedInputs, AFileThatChangesUnderAStageIsRefused) {
  EXPECT_EQ(run(request(StageKind::kCollect, "how = \"write\"\n")), (scratch_ / "rows.jsonl").string() + kChanged);
}

TEST_F(KeyedInputs, AConstructorThatResolvesAnotherFileIsRefused) {
  PluginHost plugins(kProgram, {scratch_ / "plugins", kShipped});
  const Json values = {{"rows", "rows.jsonl"}};
  const Json settings = settings_of(used_plugin(plugins, PluginKind::kAttack, "faulty", values, scratch_.path()));
  EXPECT_EQ(error_of([&] { made_attack(settings, scratch_.path()); }), "");
  change(scratch_ / "rows.jsonl");
  EXPECT_EQ(error_of([&] { made_attack(settings, scratch_.path()); }), (scratch_ / "rows.jsonl").string() + kChanged);
  Json other = settings;
  other["resolved"]["reply"] = "Another.";
  fs::resize_file(scratch_ / "rows.jsonl", fs::file_size(scratch_ / "rows.jsonl") - 1);
  EXPECT_EQ(
      error_of([&] { made_attack(other, scratch_.path()); }),
      "\"faulty\" resolves its setting \"reply\" to \"Yes.\" and did to \"Another.\" when the matrix was planned: a setting "
      "is a function of the scenario alone");
}

TEST_F(KeyedInputs, AFileOfACommandThatChangedIsRefused) {
  write_file(scratch_ / "filter.py", "import sys\n");
  write_file(scratch_ / "rules.txt", "none\n");
  const Json command = {"python3", "filter.py", "rules.txt", "--strict"};
  const StageRequest screen =
      request(StageKind::kScreen, "[[defense]]\nplugin = \"command\"\nprogram = " + command.dump() + "\n");
  for (const auto* name : {"filter.py", "rules.txt"}) {
    const std::string before = read_file(scratch_ / name);
    EXPECT_EQ(error_of([&] { check_inputs(screen); }), "") << name;
    change(scratch_ / name);
    EXPECT_EQ(error_of([&] { check_inputs(screen); }), (scratch_ / name).string() + kChanged);
    write_file(scratch_ / name, before);
  }

  PluginHost plugins(kProgram, {kShipped});
  const Json settings =
      settings_of(used_plugin(plugins, PluginKind::kDefense, "command", {{"program", command}}, scratch_.path()));
  EXPECT_EQ(error_of([&] { made_defense(settings, scratch_.path()); }), "");
  change(scratch_ / "rules.txt");
  EXPECT_EQ(error_of([&] { made_defense(settings, scratch_.path()); }), (scratch_ / "rules.txt").string() + kChanged);
}

TEST_F(KeyedInputs, ALibraryThatWasBuiltAnewIsRefused) {
  const StageRequest collect = request(StageKind::kCollect, "");
  change(library_);
  EXPECT_EQ(run(collect), library_.string() + kChanged);
}

TEST_F(KeyedInputs, DataThatChangedIsRefused) {
  const StageRequest collect = request(StageKind::kCollect, "corpus = \"benign\"\n");  // its plugin may ask for both
  for (const auto* name : {"benign.jsonl", "alignment.jsonl"}) {
    const std::string before = read_file(scratch_ / name);
    change(scratch_ / name);
    EXPECT_EQ(run(collect), (scratch_ / name).string() + kChanged);
    write_file(scratch_ / name, before);
  }
  EXPECT_EQ(run(collect), "");
}

TEST_F(KeyedInputs, APartOfAFileIsReadAndRefusedWhenTheFileChanged) {
  const StageRequest collect = request(StageKind::kCollect, "corpus = \"part\"\n");
  change(scratch_ / "parts.jsonl");
  EXPECT_EQ(run(collect), (scratch_ / "parts.jsonl").string() + kChanged);
  write_parts();
  EXPECT_EQ(run(collect), "");
}

TEST_F(KeyedInputs, ACorpusThatNoSettingNamesIsNoInput) {
  const StageRequest collect = request(StageKind::kCollect, "");
  change(scratch_ / "benign.jsonl");
  EXPECT_EQ(run(collect), "");
}

TEST_F(KeyedInputs, ProbesThatChangedAreRefused) {
  const StageRequest generate = request(StageKind::kGenerate, "");
  change(scratch_ / "probes.jsonl");
  EXPECT_EQ(run(generate), (scratch_ / "probes.jsonl").string() + kChanged);
}

TEST_F(KeyedInputs, ATemplateThatIsAnotherInEachProcessIsRefused) {
  EXPECT_THAT(run(request(StageKind::kGenerate, "how = \"drift\"\n")),
              testing::StartsWith("the attack \"faulty\" wraps the prompts in another way than when the matrix was planned"));
}

TEST_F(KeyedInputs, AJudgesFileThatChangedIsRefused) {
  const StageRequest judge = request(StageKind::kJudge, "");
  change(scratch_ / "phrases.txt");
  EXPECT_EQ(run(judge), (scratch_ / "phrases.txt").string() + kChanged);
}

TEST_F(KeyedInputs, ACheckpointThatChangedIsRefused) {
  StageRequest align = request(StageKind::kAlign, "");
  fs::copy(share_folder() / "organism", scratch_ / "model");
  const WeightsRef model{(scratch_ / "model").string(), "cpu", "default", checkpoint_digest(scratch_ / "model"), {}};
  align.weights["weights"] = model;
  EXPECT_EQ(error_of([&] { check_inputs(align); }), "");
  change(scratch_ / "model" / "tokenizer.json");
  EXPECT_EQ(error_of([&] { check_inputs(align); }), (scratch_ / "model").string() + kChanged);
  StageRequest judge = request(StageKind::kJudge, "");
  judge.task["judge_model"] = to_json(model);
  EXPECT_EQ(error_of([&] { check_inputs(judge); }), (scratch_ / "model").string() + kChanged);
}

}  // namespace
}  // namespace holdfast
