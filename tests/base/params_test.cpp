#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <holdfast/params.h>

#include "base/digest.h"
#include "base/params_state.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class ParamsTest : public ::testing::Test {
 protected:
  explicit ParamsTest() : state_(std::make_shared<Params::State>()), params_(state_) {}

  void give(const std::string& values) { state_->values = Json::parse(values); }
  // The one mistake that was noted.
  std::string mistake() const {
    EXPECT_EQ(state_->mistakes.size(), 1U);
    return state_->mistakes.empty() ? "" : state_->mistakes.front().sentence;
  }

  std::shared_ptr<Params::State> state_;
  Params params_;
};

TEST_F(ParamsTest, ReturnsWhatWasGiven) {
  give(R"({"f": true, "i": 7, "n": 2, "t": "x", "s": ["a", "b"], "c": "two"})");
  EXPECT_TRUE(params_.flag("f", false, ""));
  EXPECT_EQ(params_.integer("i", 1, ""), 7);
  EXPECT_EQ(params_.number("n", 1.0, ""), 2.0);
  EXPECT_EQ(params_.text("t", "", ""), "x");
  EXPECT_EQ(params_.strings("s", {}, ""), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(params_.choice("c", "one", {"one", "two"}, ""), "two");
  EXPECT_TRUE(state_->mistakes.empty());
}

TEST_F(ParamsTest, AbsentSettingsTakeTheirDefaultsAndAreResolved) {
  EXPECT_FALSE(params_.flag("f", false, "help"));
  EXPECT_EQ(params_.integer("i", 3, ""), 3);
  EXPECT_EQ(params_.number("n", 0.5, ""), 0.5);
  EXPECT_EQ(params_.text("t", "d", ""), "d");
  EXPECT_EQ(params_.strings("s", {"a"}, ""), (std::vector<std::string>{"a"}));
  EXPECT_EQ(params_.choice("c", "one", {"one"}, ""), "one");
  EXPECT_EQ(params_.file("p", ""), "");
  EXPECT_EQ(state_->resolved, Json::parse(R"({"f":false,"i":3,"n":0.5,"t":"d","s":["a"],"c":"one","p":""})"));
  ASSERT_EQ(state_->declared.size(), 7U);
  EXPECT_EQ(state_->declared.front().name, "f");
  EXPECT_EQ(state_->declared.front().type, "flag");
  EXPECT_EQ(state_->declared.front().default_value, "false");
  EXPECT_EQ(state_->declared.front().help, "help");
}

TEST_F(ParamsTest, ACommandsFilesAreKeyedByContentAndItsOtherWordsAsTheyStand) {
  const ScratchFolder folder;
  state_->folder = folder.path();
  write_file(folder / "filter.py", "one");
  fs::create_directory(folder / "rules");
  give(R"({"run": ["sh", "filter.py", "--level=2", "rules", ""]})");
  const Command command = params_.command("run", "help");
  EXPECT_TRUE(fs::path(command.words[0]).is_absolute());
  EXPECT_TRUE(command.words[0].ends_with("/sh"));
  EXPECT_EQ(command.words[1], (folder / "filter.py").string());
  EXPECT_EQ(std::vector<std::string>(command.words.begin() + 2, command.words.end()),
            (std::vector<std::string>{"--level=2", "rules", ""}));
  EXPECT_EQ(command.folder, folder.path());
  EXPECT_EQ(command.text, "sh filter.py --level=2 rules ");
  EXPECT_EQ(state_->resolved, (Json{{"run", {"sh", {{"sha256", sha256("one")}}, "--level=2", "rules", ""}}}));
  EXPECT_EQ(state_->files.at("run[1]"), (KeyedFile{folder / "filter.py", sha256("one")}));
  EXPECT_EQ(state_->declared.front().type, "command");
  EXPECT_TRUE(state_->mistakes.empty());
}

TEST_F(ParamsTest, ACommandsProgramIsAnExecutableFileOrStandsOnThePath) {
  const ScratchFolder folder;
  state_->folder = folder.path();
  write_file(folder / "tool", "#!/bin/sh\n");
  give(R"({"run": ["tool"]})");
  EXPECT_TRUE(params_.command("run", "").words.empty());
  EXPECT_THAT(mistake(), HasSubstr("setting \"run\": \"tool\" is no program that can be run"));
  fs::permissions(folder / "tool", fs::perms::owner_all);
  EXPECT_EQ(params_.command("run", "").words, (std::vector<std::string>{(folder / "tool").string()}));
  state_->mistakes.clear();
  give(R"({"run": ["./other"]})");
  EXPECT_TRUE(params_.command("run", "").words.empty());
  EXPECT_THAT(mistake(), HasSubstr("\"./other\" is no program"));
  state_->mistakes.clear();
  state_->values = {{"run", {"sh", "-c", std::string(5000, 'x')}}};
  EXPECT_EQ(params_.command("run", "").words.size(), 3u);
  give(R"({"run": "tool"})");
  EXPECT_TRUE(params_.command("run", "").words.empty());
  EXPECT_THAT(mistake(), HasSubstr("expected a list of texts"));
}

TEST_F(ParamsTest, ACommandsFileThatMayBeMissingLeavesItOut) {
  state_->folder = "/nowhere";
  state_->missing = {"/nowhere/filter.py"};
  give(R"({"run": ["no-such-program", "filter.py"]})");
  EXPECT_TRUE(params_.command("run", "").words.empty());
  EXPECT_TRUE(state_->lacks_file);
  EXPECT_TRUE(state_->mistakes.empty());
  EXPECT_EQ(state_->resolved["run"][1], (Json{{"sha256", "missing /nowhere/filter.py"}}));
}

TEST_F(ParamsTest, OneNumberHasOneResolvedForm) {
  give(R"({"n": 2})");
  params_.number("n", 1.0, "");
  EXPECT_EQ(canonical(state_->resolved), R"({"n":2.0})");
}

TEST_F(ParamsTest, WrongTypesAreNotedAndTheDefaultReturned) {
  give(R"({"i": "seven"})");
  state_->places["i"] = "s.toml:4:7";
  EXPECT_EQ(params_.integer("i", 3, "", 1), 3);
  EXPECT_EQ(mistake(), "setting \"i\" is a text (\"seven\"), expected an integer of at least 1");
  EXPECT_EQ(state_->mistakes.front().place, "s.toml:4:7");
  EXPECT_EQ(state_->resolved.at("i"), 3);
}

TEST_F(ParamsTest, EveryTypeIsChecked) {
  give(R"({"f": 1, "i": 1.5, "n": "x", "t": 3, "s": ["a", 1], "c": "three", "p": [], "w": 1})");
  params_.flag("f", true, "");
  params_.integer("i", 1, "");
  params_.number("n", 1.0, "");
  params_.text("t", "", "");
  params_.strings("s", {}, "");
  params_.choice("c", "one", {"one", "two"}, "");
  params_.file("p", "");
  params_.path("w", "");
  ASSERT_EQ(state_->mistakes.size(), 8U);
  EXPECT_THAT(state_->mistakes[0].sentence, HasSubstr("expected a flag (true or false)"));
  EXPECT_THAT(state_->mistakes[1].sentence, HasSubstr("expected an integer"));
  EXPECT_THAT(state_->mistakes[2].sentence, HasSubstr("expected a number"));
  EXPECT_THAT(state_->mistakes[3].sentence, HasSubstr("is an integer (3), expected a text"));
  EXPECT_THAT(state_->mistakes[4].sentence, HasSubstr("expected a list of texts"));
  EXPECT_THAT(state_->mistakes[5].sentence, HasSubstr("expected one of \"one\", \"two\""));
  EXPECT_THAT(state_->mistakes[6].sentence, HasSubstr("expected a path"));
  EXPECT_THAT(state_->mistakes[7].sentence, HasSubstr("expected a path"));
}

TEST_F(ParamsTest, RangesIncludeTheirEnds) {
  give(R"({"low": 1, "high": 5, "under": 0, "over": 1.5})");
  EXPECT_EQ(params_.integer("low", 2, "", 1, 5), 1);
  EXPECT_EQ(params_.integer("high", 2, "", 1, 5), 5);
  EXPECT_TRUE(state_->mistakes.empty());
  EXPECT_EQ(params_.integer("under", 2, "", 1, 5), 2);
  EXPECT_EQ(params_.number("over", 0.5, "", 0.0, 1.0), 0.5);
  ASSERT_EQ(state_->mistakes.size(), 2U);
  EXPECT_THAT(state_->mistakes[0].sentence, HasSubstr("expected an integer from 1 to 5"));
  EXPECT_THAT(state_->mistakes[1].sentence, HasSubstr("(1.5), expected a number from 0 to 1"));
}

TEST_F(ParamsTest, UnreadNamesAreMistakesWithASuggestion) {
  give(R"({"exampels": 5, "examples": 3})");
  state_->places["exampels"] = "s.toml:9:1";
  params_.integer("examples", 10, "");
  note_unread(*state_, "harmful-examples");
  EXPECT_EQ(mistake(), "\"harmful-examples\" has no setting \"exampels\". Did you mean \"examples\"?");
  EXPECT_EQ(state_->mistakes.front().place, "s.toml:9:1");
}

TEST_F(ParamsTest, FilesAreResolvedToTheirDigest) {
  const ScratchFolder folder;
  write_file(folder / "rows.jsonl", "abc");
  state_->folder = folder.path();
  give(R"({"data": "rows.jsonl"})");
  EXPECT_EQ(params_.file("data", ""), folder / "rows.jsonl");
  EXPECT_EQ(state_->resolved.at("data"), sha256("abc"));
  EXPECT_TRUE(state_->mistakes.empty());
}

TEST_F(ParamsTest, AFolderIsResolvedToTheDigestOfItsFiles) {
  const auto digest_of = [](const std::vector<std::pair<std::string, std::string>>& files) {
    const ScratchFolder folder;
    fs::create_directories(folder / "model");
    for (const auto& [name, text] : files) write_file(folder / "model" / name, text);
    auto state = std::make_shared<Params::State>();
    state->folder = folder.path();
    state->values = {{"guard", "model"}};
    EXPECT_EQ(Params(state).file("guard", ""), folder / "model");
    return state->resolved.at("guard").get<std::string>();
  };
  const std::string digest = digest_of({{"config.json", "{}"}, {"model.safetensors", "abc"}});
  EXPECT_EQ(digest, digest_of({{"model.safetensors", "abc"}, {"config.json", "{}"}, {".cache", "x"}}));
  EXPECT_NE(digest, digest_of({{"config.json", "{}"}, {"model.safetensors", "abd"}}));
  EXPECT_NE(digest, digest_of({{"config.json", "{}"}, {"weights.safetensors", "abc"}}));
}

TEST_F(ParamsTest, AMissingFileIsAMistake) {
  const ScratchFolder folder;
  state_->folder = folder.path();
  give(R"({"data": "none.jsonl"})");
  EXPECT_EQ(params_.file("data", ""), "");
  EXPECT_THAT(mistake(), HasSubstr("setting \"data\": cannot read"));
  EXPECT_THAT(mistake(), HasSubstr("none.jsonl: No such file"));
}

TEST_F(ParamsTest, PathsNeedNotExistAndAreNotResolved) {
  state_->folder = "/somewhere";
  give(R"({"out": "a/b.jsonl", "there": "/elsewhere/c"})");
  EXPECT_EQ(params_.path("out", ""), "/somewhere/a/b.jsonl");
  EXPECT_EQ(params_.path("there", ""), "/elsewhere/c");
  EXPECT_EQ(params_.path("absent", ""), "");
  EXPECT_EQ(state_->resolved, Json::object());
  EXPECT_EQ(state_->declared.front().type, "path");
  EXPECT_TRUE(state_->mistakes.empty());
}

TEST_F(ParamsTest, UnkeyedSettingsAreReadAndNotResolved) {
  give(R"({"timeout": 3, "size": 4})");
  EXPECT_EQ(params_.integer("timeout", 1, ""), 3);
  params_.integer("size", 1, "");
  params_.unkeyed({"timeout"});
  EXPECT_EQ(state_->resolved, Json::parse(R"({"size":4})"));
  EXPECT_EQ(state_->declared.size(), 2U);
}

TEST_F(ParamsTest, AReaderNotesItsOwnMistakes) {
  state_->places["low"] = "s.toml:2:3";
  params_.mistake("low", "low must be below high");
  EXPECT_EQ(mistake(), "low must be below high");
  EXPECT_EQ(state_->mistakes.front().place, "s.toml:2:3");
}

TEST_F(ParamsTest, APresetSetsWhatTheScenarioDoesNot) {
  const Card card{"paper", "passes", {{"paper", {{"n", 2}, {"t", "x"}}}, {"repo", {{"n", 3.0}}}}};
  give(R"({"preset": "paper", "t": "y"})");
  params_.introduce(card);
  EXPECT_EQ(params_.number("n", 1, ""), 2);
  EXPECT_EQ(params_.text("t", "", ""), "y");
  EXPECT_EQ(params_.integer("i", 7, ""), 7);
  note_unread(*state_, "p");
  EXPECT_TRUE(state_->mistakes.empty());
  EXPECT_EQ(canonical(state_->resolved), R"({"i":7,"n":2.0,"t":"y"})");  // by what it sets, not by its name
  EXPECT_EQ(state_->card.at("presets").at(1).at("settings"), Json::parse(R"({"n":3.0})"));
}

TEST_F(ParamsTest, AnUnknownPresetIsRefusedWithThoseThatThereAre) {
  give(R"({"preset": "papre"})");
  params_.introduce({"", "", {{"paper", {{"n", 2}}}}});
  EXPECT_EQ(params_.number("n", 1, ""), 1);
  EXPECT_THAT(mistake(), AllOf(HasSubstr("papre"), HasSubstr("\"paper\"")));
}

TEST_F(ParamsTest, WithoutPresetsThereIsNoSuchSetting) {
  give(R"({"preset": "paper"})");
  params_.introduce({"source", "cost"});
  params_.number("n", 1, "");
  note_unread(*state_, "p");
  EXPECT_THAT(mistake(), HasSubstr("has no setting \"preset\""));
}

TEST_F(ParamsTest, APresetOfWhatTheConstructorDoesNotReadIsTheMistakeOfThePlugin) {
  give(R"({"preset": "paper"})");
  params_.introduce({"", "", {{"paper", {{"gone", 2}}}}});
  note_unread(*state_, "p");
  EXPECT_THAT(mistake(), AllOf(HasSubstr("\"gone\""), HasSubstr("correct the plugin")));
}

TEST_F(ParamsTest, APresetOfAWrongValueIsTheMistakeOfThePlugin) {
  give(R"({"preset": "paper"})");
  params_.introduce({"", "", {{"paper", {{"n", "two"}}}}});
  EXPECT_THROW(params_.number("n", 1, ""), Error);
  EXPECT_THROW(params_.introduce({"", "", {{"a", {{"n", 1}}}, {"a", {{"n", 2}}}}}), Error);
  EXPECT_THROW(params_.introduce({"", "", {{"a", {}}}}), Error);
}

}  // namespace
}  // namespace holdfast
