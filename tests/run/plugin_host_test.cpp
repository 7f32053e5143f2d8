#include "plugin/plugin_host.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const fs::path kFixtures = fs::path(HOLDFAST_BINARY_DIR) / "plugin_fixtures";

class PluginHostTest : public testing::Test {
 protected:
  fs::path bring(const std::string& fixture, const std::string& under = "plugins") {
    const fs::path target = scratch_ / under / (fixture + ".plugin.so");
    fs::create_directories(target.parent_path());
    fs::copy_file(kFixtures / target.filename(), target, fs::copy_options::overwrite_existing);
    return target;
  }

  PluginHost host(double seconds = 60) { return {kProgram, {scratch_ / "plugins"}, seconds}; }

  // What becomes of the fixture "faulty" when it is made with these settings.
  std::string fault(PluginHost& host, const Json& values) {
    Params::State state;
    state.values = values;
    try {
      host.make(*host.find(PluginKind::kAttack, "faulty"), state);
    } catch (const PluginFault& fault) {
      return std::string("fault: ") + fault.what();
    } catch (const Error& error) {
      return std::string("error: ") + error.what();
    }
    return "made";
  }

  const ScratchFolder scratch_;
};

TEST_F(PluginHostTest, SaysWhatALibraryIs) {
  const fs::path path = bring("marker");
  PluginHost plugins = host();
  ASSERT_THAT(plugins.refused(), IsEmpty());
  const PluginInfo* marker = plugins.find(PluginKind::kAttack, "marker");
  ASSERT_NE(marker, nullptr);
  EXPECT_EQ(marker->revision, 3);
  EXPECT_EQ(marker->summary, "Leaves a file behind when it is loaded.");
  EXPECT_EQ(marker->path, path);
  EXPECT_EQ(marker->digest.size(), 64u);
  EXPECT_EQ(plugins.find(PluginKind::kDefense, "marker"), nullptr);
  EXPECT_THAT(plugins.names(PluginKind::kAttack), ElementsAre("marker"));
}

TEST_F(PluginHostTest, NoCodeOfALibraryRunsInThisProcess) {
  bring("marker");
  ASSERT_EQ(host().loaded().size(), 1u);
  EXPECT_THAT(read_file("/proc/self/maps"), Not(HasSubstr("marker.plugin.so")));
}

// The library leaves a file behind when any of its code runs.
class KnownLibrary : public PluginHostTest {
 protected:
  void SetUp() override {
    ::setenv("HOLDFAST_CACHE", (scratch_ / "cache").c_str(), 1);
    ::setenv("HOLDFAST_TEST_MARKER", marker_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("HOLDFAST_CACHE");
    ::unsetenv("HOLDFAST_TEST_MARKER");
  }

  // The names of the attacks, and whether the library was loaded for them.
  std::pair<std::vector<std::string>, bool> names() {
    fs::remove(marker_);
    std::vector<std::string> found = host().names(PluginKind::kAttack);
    return {found, fs::exists(marker_)};
  }

  const fs::path marker_ = scratch_ / "code ran";
  const std::pair<std::vector<std::string>, bool> loaded_{{"marker"}, true}, known_{{"marker"}, false};
};

TEST_F(KnownLibrary, IsNotLoadedToSayItsNameAgain) {
  const fs::path path = bring("marker");
  const std::string digest = host().find(PluginKind::kAttack, "marker")->digest;
  EXPECT_EQ(names(), known_);
  const PluginHost plugins = host();
  const PluginInfo& marker = *plugins.find(PluginKind::kAttack, "marker");
  EXPECT_EQ(marker.revision, 3);
  EXPECT_EQ(marker.summary, "Leaves a file behind when it is loaded.");
  EXPECT_EQ(marker.path, path);
  EXPECT_EQ(marker.digest, digest);
}

TEST_F(KnownLibrary, IsLoadedWhenItsContentOrTheProgramIsAnother) {
  const fs::path path = bring("marker");
  EXPECT_EQ(names(), loaded_);
  std::ofstream(path, std::ios::app) << "one byte more";
  EXPECT_EQ(names(), loaded_);
  EXPECT_EQ(names(), known_);
  const fs::path kept = scratch_ / "cache" / "plugins.json";
  Json entries = Json::parse(read_file(kept));
  ASSERT_TRUE(entries.contains(path.string()));
  entries[path.string()][0] = "holdfast_abi_api0_torch2_11_0_cxx11abi1";
  write_file(kept, entries.dump());
  EXPECT_EQ(names(), loaded_);
  fs::copy_file(kFixtures / "faulty.plugin.so", path, fs::copy_options::overwrite_existing);
  EXPECT_EQ(names().first, std::vector<std::string>{"faulty"});
}

TEST_F(KnownLibrary, IsForgottenWithItsFileAndWhenTheMemoryIsTorn) {
  const fs::path path = bring("marker"), kept = scratch_ / "cache" / "plugins.json";
  for (const std::string torn : {"", "{\"a", "[]", "{\"PATH\": [1, 2]}", "{\"PATH\": [1, 2, 3]}"}) {
    std::string text = torn;
    if (const auto at = text.find("PATH"); at != std::string::npos) text.replace(at, 4, path.string());
    fs::create_directories(kept.parent_path());
    write_file(kept, text);
    EXPECT_EQ(names(), loaded_) << torn;
    EXPECT_EQ(names(), known_) << torn;
  }
  fs::rename(path, scratch_ / "plugins" / "other.plugin.so");
  EXPECT_EQ(names(), loaded_);
  EXPECT_FALSE(Json::parse(read_file(kept)).contains(path.string()));
}

// One that does not fit, or whose code dies, says nothing that could be kept.
TEST_F(KnownLibrary, IsNoneThatWasRefused) {
  bring("stale");
  bring("exits-loading");
  for (int time = 0; time < 2; ++time) EXPECT_EQ(host(2).refused().size(), 2u);
}

TEST_F(PluginHostTest, KeepsTheFirstOfTwoWithOneName) {
  const fs::path first = bring("marker", "first"), second = bring("marker", "second");
  const PluginHost plugins(kProgram, {scratch_ / "first", scratch_ / "second"});
  ASSERT_EQ(plugins.loaded().size(), 1u);
  EXPECT_EQ(plugins.loaded()[0].path, first);
  ASSERT_EQ(plugins.refused().size(), 1u);
  EXPECT_EQ(plugins.refused()[0].reason, second.string() + " is another \"marker\"; the one of " + first.string() + " is used");
  EXPECT_FALSE(plugins.refused()[0].is_faulty);
}

// Loaded one after the other by one process: each that dies is the one that is refused, and no other.
TEST_F(PluginHostTest, OneBadLibraryDoesNotStopTheOthers) {
  const fs::path dies = bring("dies-loading"), exits = bring("exits-loading"), hangs = bring("hangs-loading"),
                 untagged = bring("untagged");
  bring("faulty");
  bring("marker");
  const PluginHost plugins = host(2);
  EXPECT_THAT(plugins.names(PluginKind::kAttack), ElementsAre("faulty", "marker"));
  ASSERT_EQ(plugins.refused().size(), 4u);
  const std::string end = " while the plugin was loaded: mend it, or leave it out";
  EXPECT_EQ(plugins.refused()[0].reason, dies.string() + ": the process was killed by signal 11 (Segmentation fault)" + end);
  EXPECT_EQ(plugins.refused()[1].reason, exits.string() + ": the process ended with status 3" + end);
  EXPECT_EQ(plugins.refused()[2].reason, hangs.string() + ": the process was stopped after 2 s" + end);
  EXPECT_EQ(plugins.refused()[3].reason, untagged.string() + " is not a holdfast plugin: it has no ABI tag");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(plugins.refused()[i].is_faulty, i < 3);
}

TEST_F(PluginHostTest, AConstructorsDeathIsASentence) {
  const std::string path = bring("faulty").string();
  bring("marker");
  PluginHost plugins = host(2);
  const std::string end = " while the plugin was made: mend it, or leave it out";
  EXPECT_EQ(fault(plugins, {{"where", "constructor"}, {"how", "crash"}}),
            "fault: " + path + ": the process was killed by signal 11 (Segmentation fault)" + end);
  EXPECT_EQ(fault(plugins, {{"where", "constructor"}, {"how", "exit"}}),
            "fault: " + path + ": the process ended with status 3" + end);
  EXPECT_EQ(fault(plugins, {{"where", "constructor"}, {"how", "hang"}}),
            "fault: " + path + ": the process was stopped after 2 s" + end);
  EXPECT_EQ(
      fault(plugins, {{"where", "constructor"}, {"how", "throw"}}),
      "fault: " + path + ": the plugin threw something that is no std::exception while it was made: mend it, or leave it out");
  EXPECT_EQ(fault(plugins, {{"where", "constructor"}, {"how", "exception"}}),
            "fault: " + path + ": the plugin threw \"an exception on purpose\" while it was made: mend it, or leave it out");
  EXPECT_EQ(fault(plugins, {{"where", "constructor"}, {"how", "error"}}), "error: an error on purpose");
  EXPECT_EQ(fault(plugins, Json::object()), "made");
}

TEST_F(PluginHostTest, MakesAsTheScenarioSays) {
  bring("faulty");
  PluginHost plugins = host();
  write_file(scratch_ / "rows.jsonl", "{}\n");
  Params::State state;
  state.folder = scratch_.path();
  state.values = {{"rows", "rows.jsonl"}, {"reply", 3}};
  state.places = {{"reply", "s.toml:4:9"}};
  EXPECT_EQ(plugins.make(*plugins.find(PluginKind::kAttack, "faulty"), state).need_aligned, 0u);
  EXPECT_EQ(state.declared.size(), 5u);
  EXPECT_EQ(state.declared[2].name, "reply");
  EXPECT_EQ(state.declared[2].default_value, "\"Yes.\"");
  EXPECT_EQ(state.files.at("rows").path, scratch_ / "rows.jsonl");
  EXPECT_EQ(state.resolved.at("rows").get<std::string>().size(), 64u);
  ASSERT_EQ(state.mistakes.size(), 1u);
  EXPECT_EQ(state.mistakes[0].place, "s.toml:4:9");
  EXPECT_THAT(state.mistakes[0].sentence, HasSubstr("\"reply\" is an integer (3), expected a text"));
}

// Scenarios whose plugins go wrong: what is wrong becomes a sentence, and the plan keeps the rest.
class FaultyScenario : public PluginHostTest {
 protected:
  Scenario read(const std::string& attack) {
    bring("faulty");
    write_file(scratch_ / "s.toml", "[scenario]\nstage_timeout = 2\n" + kOrganism + attack);
    PluginHost plugins(kProgram, {scratch_ / "plugins", kShipped});
    return load_scenario(scratch_ / "s.toml", plugins);
  }
};

TEST_F(FaultyScenario, AttackThatDiesInItsConstructor) {
  const Scenario scenario = read("[[attack]]\nplugin = \"faulty\"\nwhere = \"constructor\"\n");
  EXPECT_THAT(faults(scenario), ElementsAre(AllOf(StartsWith("the cells that need the attack \"faulty\" fail: "),
                                                  HasSubstr("(Segmentation fault) while the plugin was made"))));
  const Plan plan = plan_of(scenario);
  EXPECT_EQ(plan.cells.size(), 2u);
  for (const auto& node : plan.nodes) EXPECT_EQ(!node.fault.empty(), node.kind == StageKind::kCollect);
}

TEST_F(FaultyScenario, AttackThatDiesInItsTemplate) {
  for (const std::string how : {"crash", "hang", "throw", "error"}) {
    const Scenario scenario = read("[[attack]]\nplugin = \"faulty\"\nwhere = \"wrap\"\nhow = \"" + how + "\"\n");
    EXPECT_THAT(faults(scenario), ElementsAre(HasSubstr("was asked to wrap prompts"))) << how;
    const Plan plan = plan_of(scenario);
    ASSERT_EQ(plan.cells.size(), 3u) << "what has a template has a wrapped control";
    for (const auto& cell : plan.cells) {
      const bool spoiled = std::any_of(cell.stages.begin(), cell.stages.end(),
                                       [&](const auto& stage) { return !plan.nodes[stage.node].fault.empty(); });
      EXPECT_EQ(spoiled, plan.attacks[cell.attack] != "none") << plan.attacks[cell.attack];
    }
  }
}

TEST_F(FaultyScenario, JudgeThatDiesInItsConstructor) {
  bring("faulty-judge");
  const Scenario scenario = read("[evaluate]\njudges = [\"organism\", { name = \"faulty-judge\", where = \"constructor\" }]\n");
  EXPECT_THAT(faults(scenario), ElementsAre(AllOf(StartsWith("the cells that need the judge \"faulty-judge\" fail: "),
                                                  HasSubstr("(Segmentation fault) while the plugin was made"))));
  for (const auto& node : plan_of(scenario).nodes) {
    EXPECT_EQ(!node.fault.empty(), node.kind == StageKind::kJudge && node.plugin == "faulty-judge");
  }
}

TEST_F(FaultyScenario, JudgeThatIsRefusedOrHasTheNameOfOneOfOurs) {
  bring("stale-judge");
  bring("coherence");
  const auto mistake = [&](const std::string& judge) {
    try {
      read("[evaluate]\njudges = [\"" + judge + "\"]\n");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(mistake("stale-judge"), AllOf(HasSubstr(": the judge plugin \"stale-judge\" was refused: "),
                                            HasSubstr("was built for holdfast_abi_api0_"), HasSubstr("rebuild the plugin")));
  EXPECT_THAT(mistake("coherence"), AllOf(HasSubstr("the judge \"coherence\" is a part of holdfast"),
                                          HasSubstr("coherence.plugin.so"), HasSubstr("give it another one")));
  EXPECT_EQ(mistake("organism"), "") << "what no scenario names is of no concern";
}

TEST_F(FaultyScenario, LibraryThatDiesWhileItIsLoaded) {
  bring("dies-loading");
  const Scenario scenario = read("[[attack]]\nplugin = \"faulty\"\n[[defense]]\nplugin = \"dies-loading\"\nanything = 1\n");
  EXPECT_THAT(faults(scenario), ElementsAre(HasSubstr("(Segmentation fault) while the plugin was loaded")));
  const Plan plan = plan_of(scenario);
  EXPECT_EQ(plan.cells.size(), 3u * 2u);
  for (const auto& cell : plan.cells) {
    const auto replies = std::find_if(cell.stages.begin(), cell.stages.end(),
                                      [&](const auto& stage) { return plan.stage_names[stage.name] == "generate"; });
    EXPECT_EQ(!plan.nodes[replies->node].fault.empty(), plan.defenses[cell.defense] == "dies-loading");
  }
}

}  // namespace
}  // namespace holdfast
