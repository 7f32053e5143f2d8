// The plugin "command" against programs of every behaviour.
#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/digest.h"
#include "base/scratch_folder.h"
#include "fakes/context.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Example row_of_file(const std::string& question, const std::string& answer) {
  return {{{"user", question}, {"assistant", answer}}, {{"kind", "harmful"}}, "rows.jsonl:1"};
}

class CommandTest : public testing::Test {
 protected:
  // A Python program whose input is `lines`, the first one `hello`.
  void program(const std::string& body) const {
    write_file(folder_ / "filter.py",
               "import json, os, signal, sys, time\n"
               "def say(answer): print(json.dumps(answer))\n"
               "hello = json.loads(sys.stdin.readline())\n" +
                   body);
  }

  Settings settings(const Json& more = Json::object()) const {
    Json values = {{"program", {"python3", "filter.py"}}};
    values.update(more);
    Settings made = Settings::of(values);
    made.state->folder = folder_.path();
    return made;
  }

  DefenseStages filter(const Json& more = Json::object()) const {
    const Settings made = settings(more);
    Params params(made.state);
    auto stages = shipped("command").make_defense(params);
    note_unread(*made.state, "command");
    EXPECT_EQ(made.mistakes(), "");
    return stages;
  }

  Dataset screened(const Dataset& rows, const Json& more = Json::object()) {
    return filter(more).screen->screen(rows, context_);
  }

  std::string error_of(const Dataset& rows, const Json& more = Json::object()) {
    try {
      screened(rows, more);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  const Dataset rows_ = {row_of_file("one", "Yes."), row_of_file("two", "No."), row_of_file("three", "Yes.")};
  const ScratchFolder folder_;
  FakeContext context_;
};

TEST_F(CommandTest, KeepsDropsRewritesAndAddsRows) {
  program(R"(
for line in sys.stdin:
    row = json.loads(line)
    assert list(row) == ["messages"], row
    said = row["messages"][0]["content"]
    if said == "one": say({"keep": False})
    new = [{"role": "user", "content": "new"}, {"role": "assistant", "content": hello["refusal"]}]
    if said == "two": say({"keep": True, "add": [new]})
    changed = [{"role": "user", "content": "changed"}, {"role": "assistant", "content": "ä", "weight": 0},
               {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    if said == "three": say({"messages": changed})
)");
  Example rewritten = rows_[2];
  rewritten.messages = {{"user", "changed"}, {"assistant", "ä", false}, {"user", "x"}, {"assistant", "y"}};
  const Dataset kept = screened(rows_);
  EXPECT_EQ(kept, (Dataset{rows_[1], {{{"user", "new"}, {"assistant", context_.refusal()}}}, rewritten}));
  EXPECT_EQ(kept[2].origin, "rows.jsonl:1");
  EXPECT_EQ(context_.reports.at("dropped").value, 1);
  EXPECT_EQ(context_.reports.at("dropped").n, 3);
  EXPECT_EQ(context_.reports.at("rewritten").value, 1);
  EXPECT_EQ(context_.reports.at(kDefenderRows).n, 1);
}

TEST_F(CommandTest, SaysWhatTheStageIsAndShowsNoTags) {
  program(R"(
open("seen", "a").write(json.dumps(hello) + "\n")
for line in sys.stdin:
    open("seen", "a").write(line)
    say({"keep": True})
)");
  Example context_turn = row_of_file("two", "b");
  context_turn.messages = {{"user", "a"}, {"assistant", "b", false}, {"user", "c"}, {"assistant", "\n\xFF"}};
  const Dataset rows = {row_of_file("one", "é"), context_turn};
  EXPECT_EQ(screened(rows, {{"version", "7"}}), rows);
  std::ifstream in(folder_ / "seen");
  std::vector<Json> seen;
  for (std::string line; std::getline(in, line);) seen.push_back(Json::parse(line));
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0], (Json{{"holdfast", "command"},
                           {"protocol", 1},
                           {"stage", "screen"},
                           {"lines", 2},
                           {"version", "7"},
                           {"refusal", context_.refusal()},
                           {"seed", context_.seed("command") >> 11U}}));
  EXPECT_EQ(seen[1],
            Json::parse(R"({"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "é"}]})"));
  EXPECT_EQ(seen[2]["messages"][1], Json::parse(R"({"role": "assistant", "content": "b", "weight": 0})"));
  EXPECT_EQ(seen[2]["messages"][3], Json::parse(R"({"role": "assistant", "content": "\n\ufffd"})"));
}

TEST_F(CommandTest, StandsBeforeAndAfterGeneration) {
  program(R"(
for line in sys.stdin:
    asked = json.loads(line)
    said = asked["prompt"][-1]["content"]
    if hello["stage"] == "before":
        assert list(asked) == ["prompt"]
        louder = {"prompt": [{"role": "user", "content": said + "!"}]}
        say({"reply": "no"} if said == "bad" else louder if said == "plain" else {})
    else:
        say({"reply": "removed"} if "secret" in asked["reply"] else {})
)");
  const DefenseStages both = filter({{"stages", {"before", "after"}}});
  std::vector<Exchange> exchanges = {{{{"user", "bad"}}, ""}, {{{"user", "plain"}}, ""}, {{{"user", "third"}}, ""}};
  both.serve->before_generation(exchanges, context_);
  EXPECT_TRUE(exchanges[0].answered);
  EXPECT_EQ(exchanges[0].reply, "no");
  EXPECT_EQ(exchanges[1].prompt, (Conversation{{"user", "plain!"}}));
  EXPECT_FALSE(exchanges[1].answered);
  EXPECT_EQ(exchanges[2].prompt, (Conversation{{"user", "third"}}));
  EXPECT_EQ(context_.reports.at("answered").value, 1);
  EXPECT_EQ(context_.reports.at("rewritten").value, 1);
  exchanges[1].reply = "the secret";
  exchanges[2].reply = "fine";
  both.serve->after_generation(exchanges, context_);
  EXPECT_EQ(exchanges[0].reply, "no");
  EXPECT_EQ(exchanges[1].reply, "removed");
  EXPECT_EQ(exchanges[2].reply, "fine");
  EXPECT_EQ(context_.reports.at("replaced").value, 1);
  EXPECT_EQ(context_.reports.at("replaced").n, 3);
}

TEST_F(CommandTest, IsNotStartedWhereItDoesNotAct) {
  program("open('started', 'w')\nfor line in sys.stdin: say({})\n");
  EXPECT_EQ(screened(rows_, {{"stages", {"after"}}}), rows_);
  const DefenseStages screens = filter();
  std::vector<Exchange> exchanges = {{{{"user", "a"}}, "b"}};
  screens.serve->before_generation(exchanges, context_);
  screens.serve->after_generation(exchanges, context_);
  EXPECT_EQ(exchanges[0].reply, "b");
  EXPECT_EQ(screened({}), Dataset());
  EXPECT_TRUE(context_.reports.empty());
  EXPECT_FALSE(fs::exists(folder_ / "started"));
}

// Both pipes are full at once, and standard error too, long before the program has read its input.
TEST_F(CommandTest, CarriesMegabytesBothWays) {
  program(R"(
for line in sys.stdin:
    sys.stderr.write("x" * 5000)
    say({"messages": json.loads(line)["messages"]})
)");
  Dataset rows;
  for (int i = 0; i < 400; ++i)
    rows.push_back(row_of_file(std::to_string(i), std::string(20000, static_cast<char>('a' + i % 26))));
  EXPECT_EQ(screened(rows), rows);
}

TEST_F(CommandTest, TakesAnswersThatComeAllAtTheEnd) {
  program("lines = list(sys.stdin)\nfor line in lines: say({'keep': 'two' in line})\n");
  EXPECT_EQ(screened(rows_), (Dataset{rows_[1]}));
}

TEST_F(CommandTest, GoesOnBehindACrash) {
  program(R"(
first = not os.path.exists("crashed")
open("starts", "a").write("x")
for line in sys.stdin:
    if "two" in line and first:
        open("crashed", "w")
        os.kill(os.getpid(), signal.SIGSEGV)
    open("lines", "a").write(line)
    say({"keep": "three" not in line})
)");
  EXPECT_EQ(screened(rows_), (Dataset{rows_[0], rows_[1]}));
  EXPECT_EQ(read_file(folder_ / "starts"), "xx");
  EXPECT_EQ(context_.reports.at("restarts").value, 1);
  const std::string lines = read_file(folder_ / "lines");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3) << "an answered line was sent again";
}

TEST_F(CommandTest, GivesUpAfterItsRestarts) {
  program(R"(
open("starts", "a").write("x")
for line in sys.stdin:
    if "two" in line: raise ValueError("the model is missing")
    say({"keep": True})
)");
  EXPECT_THAT(error_of(rows_, {{"restarts", 2}}),
              AllOf(HasSubstr("the program \"python3 filter.py\" (stage \"screen\") ended with status 1 at line 2 of 3, "
                              "restarted 2 times; expected {\"keep\": true}"),
                    HasSubstr("its last words: "), HasSubstr("ValueError: the model is missing")));
  EXPECT_EQ(read_file(folder_ / "starts"), "xxx");
  EXPECT_THAT(error_of(rows_, {{"restarts", 0}}), HasSubstr("ended with status 1 at line 2 of 3; expected"));
}

// The group dies with it: also a child that holds on to nothing of the program's.
TEST_F(CommandTest, StopsAProgramThatHangsAndItsChildren) {
  program(R"(
if os.fork() == 0:
    open("child", "w").write(str(os.getpid()))
    time.sleep(600)
while not os.path.exists("child"): pass
print(json.dumps({"keep": True}), flush=True)
time.sleep(600)
)");
  EXPECT_THAT(error_of(rows_, {{"timeout", 5}}),
              AllOf(HasSubstr("does not answer line 2 of 3 within 5 s"), HasSubstr("it wrote nothing to standard error")));
  const pid_t child = std::stoi(read_file(folder_ / "child"));
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    const std::string stat =
        fs::exists("/proc/" + std::to_string(child)) ? read_file("/proc/" + std::to_string(child) + "/stat") : "";
    gone = stat.empty() || stat.find(") Z") != std::string::npos;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(gone) << "the process " << child << " lives on";
}

TEST_F(CommandTest, NamesEachWrongAnswer) {
  const std::map<std::string, std::string> cases = {
      {"print('maybe')", "answers line 1 of 3 with \"maybe\": it is no line of JSON (no JSON at character 1); expected"},
      {"print()", "answers line 1 of 3 with \"\": it is no line of JSON"},
      {"say([])", "it is no object"},
      {"say({'kep': True})", "it has the unknown field \"kep\""},
      {"say({})", "it has not just one of \"keep\" and \"messages\""},
      {"say({'keep': 1})", "\"keep\" is no true or false"},
      {"say({'messages': 'x'})", "\"messages\" is no list of turns"},
      {"say({'messages': []})", "\"messages\" does not end with a turn of the role \"assistant\""},
      {"say({'messages': [{'role': 'user', 'content': 'a'}]})", "does not end with a turn of the role \"assistant\""},
      {"say({'messages': [{'role': 'tool', 'content': 'a'}]})", "another role than"},
      {"say({'messages': [{'role': 'assistant'}]})", "lacks \"role\" or \"content\""},
      {"say({'messages': [{'role': 'assistant', 'content': 1}]})", "\"content\" is no text"},
      {"say({'messages': [{'role': 'assistant', 'content': 'a', 'weight': 2}]})", "\"weight\" is neither 0 nor 1"},
      {"say({'keep': True, 'add': [[]]})", "\"add\" does not end with"},
      {"print('[' * 100000)", "no line of JSON"},
      {"print('[' * 200 + ']' * 200)", "more than 100 deep"},
  };
  for (const auto& [answer, sentence] : cases) {
    program("for line in sys.stdin: " + answer + "\n");
    EXPECT_THAT(error_of(rows_),
                AllOf(HasSubstr("the program \"python3 filter.py\" (stage \"screen\") answers line 1 of 3 with"),
                      HasSubstr(sentence), HasSubstr("; expected {\"keep\": true}, ")))
        << answer;
  }
}

TEST_F(CommandTest, NamesWrongAnswersWhileServing) {
  const auto error_of = [this](const char* stage, const std::string& answer) -> std::string {
    program("for line in sys.stdin: say(" + answer + ")\n");
    std::vector<Exchange> exchanges = {{{{"user", "a"}}, "b"}};
    const DefenseStages made = filter({{"stages", {stage}}});
    try {
      made.serve->before_generation(exchanges, context_);
      made.serve->after_generation(exchanges, context_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("before", "{'prompt': [{'role': 'assistant', 'content': 'a'}]}"),
              AllOf(HasSubstr("(stage \"before\")"), HasSubstr("\"prompt\" does not end with a turn of the role \"user\"")));
  EXPECT_THAT(error_of("before", "{'prompt': [{'role': 'user', 'content': 'a'}], 'reply': ''}"), HasSubstr("it has both"));
  EXPECT_THAT(error_of("after", "{'prompt': []}"),
              AllOf(HasSubstr("(stage \"after\")"), HasSubstr("unknown field \"prompt\"")));
  EXPECT_THAT(error_of("after", "{'reply': None}"), HasSubstr("\"reply\" is no text; expected {} or {\"reply\": \"...\"}"));
}

TEST_F(CommandTest, CountsAnswersToTheLast) {
  program("for line in sys.stdin:\n  if 'two' not in line: say({'keep': True})\n");
  EXPECT_THAT(error_of(rows_), HasSubstr("ended with 2 answers to the 3 lines that it got; expected one answer a line"));
  program("for line in sys.stdin: say({'keep': True})\nprint('bye')\n");
  EXPECT_THAT(error_of(rows_), HasSubstr("gives more answers than the 3 lines that it got, the next is \"bye\""));
  program("for line in sys.stdin: say({'keep': True})\nsys.exit(3)\n");
  EXPECT_THAT(error_of(rows_), HasSubstr("ended with status 3 after its last answer; expected status 0"));
  program("for line in sys.stdin: say({'keep': True})\nsys.stdout.flush()\ntime.sleep(600)\n");
  EXPECT_THAT(error_of(rows_, {{"timeout", 4.5}}), HasSubstr("does not end after its last answer within 4.50 s"));
  program("sys.stdout.write('{\"keep\": true}\\n{\"keep\": true}\\n{\"keep\": true}')\n");
  EXPECT_EQ(screened(rows_), rows_) << "neither its input nor the last line's end is needed";
}

TEST_F(CommandTest, KeysTheFilesOfTheProgramAndItsOtherWords) {
  program("for line in sys.stdin: say({'keep': True})\n");
  const auto resolved = [&](const Json& more) {
    const Settings made = settings(more);
    Params params(made.state);
    shipped("command").make_defense(params);
    return made.state->resolved;
  };
  const std::string digest = sha256_file(folder_ / "filter.py");
  const Json plain = resolved({{"timeout", 5}, {"restarts", 3}});
  EXPECT_EQ(plain, (Json{{"program", {"python3", {{"sha256", digest}}}}, {"stages", {"screen"}}, {"version", ""}}));
  EXPECT_EQ(resolved(Json::object()), plain);
  EXPECT_NE(resolved({{"version", "2"}}), plain);
  EXPECT_NE(resolved({{"program", {"python3", "filter.py", "--strict"}}}), plain);
}

TEST_F(CommandTest, RefusesSettingsThatCannotWork) {
  program("");
  const auto mistakes = [&](const Json& more) {
    const Settings made = settings(more);
    Params params(made.state);
    shipped("command").make_defense(params);
    return made.mistakes();
  };
  EXPECT_THAT(mistakes({{"program", Json::array()}}), HasSubstr("\"command\" runs a program: give program ="));
  EXPECT_THAT(
      mistakes({{"program", {"pythn3", "filter.py"}}}),
      HasSubstr("\"pythn3\" is no program that can be run: neither an executable file beside the scenario nor a name on PATH"));
  EXPECT_THAT(mistakes({{"program", {"filter.py"}}}), HasSubstr("A script comes after its interpreter"));
  EXPECT_THAT(mistakes({{"stages", Json::array()}}), HasSubstr("\"stages\" is empty"));
  EXPECT_THAT(mistakes({{"stages", {"screen", "serve"}}}), HasSubstr("\"serve\" is no stage of this plugin"));
}

TEST_F(CommandTest, SaysWhenAProgramCannotBeStarted) {
  write_file(folder_ / "broken", "#!/no/such/interpreter\n");
  fs::permissions(folder_ / "broken", fs::perms::owner_all);
  EXPECT_THAT(error_of(rows_, {{"program", {"broken"}}}), HasSubstr("cannot start the program \"broken\" in "));
}

// The whole example of the README, as it stands there.
TEST_F(CommandTest, TheReadmesExampleRuns) {
  const std::string readme = read_file(fs::path(HOLDFAST_SOURCE_DIR) / "plugins" / "defenses" / "command" / "README.md");
  const auto begin = readme.find("```python\n") + 10;
  write_file(folder_ / "filter.py", readme.substr(begin, readme.find("```", begin) - begin));
  const Dataset rows = {row_of_file("one", "Gladly: here is a thing."), row_of_file("two", "No.")};
  EXPECT_EQ(screened(rows), (Dataset{rows[1]}));
}

}  // namespace
}  // namespace holdfast
