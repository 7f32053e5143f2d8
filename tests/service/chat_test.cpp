#include "service/chat.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>
#include <utility>

#include "base/scratch_folder.h"
#include "run/interruption.h"
#include "work/served_organism.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

// What a question was refused for.
struct Refusal {
  ChatFault fault;
  std::string sentence;
};

template <typename Ask>
std::optional<Refusal> refusal_of(const Ask& ask) {
  try {
    ask();
  } catch (const ChatRefused& refused) {
    return Refusal{refused.fault, refused.what()};
  }
  return std::nullopt;
}

// Asks of several threads at once.
template <typename Ask>
void at_once(int count, const Ask& ask) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&ask, i] { ask(i); });
  for (auto& thread : threads) thread.join();
}

// Pools of workers that are lines of shell. Descriptors 3 and 4: base/worker_process.h.
class ScriptedWorkers : public testing::Test {
 protected:
  WorkerSetup setup(const std::string& text) {
    const fs::path path = folder_ / "program";
    write_file(path, "#!/bin/bash\nread -r setup <&3\n" + text + "\n");
    fs::permissions(path, fs::perms::owner_all);
    fs::create_directories(folder_ / "store");
    return {path, folder_ / "store"};
  }
  static ChatQuestion question(const std::string& text, const std::string& base = "b") {
    ChatQuestion made;
    made.served.kind = StageKind::kGenerate;
    made.served.task = Json::object();
    made.served.weights["weights"] = {"source", "cpu", "float32", base, {}};
    made.messages = {{"user", text}};
    return made;
  }

  // For lines of shell: a question that says "slow" is answered once the test opens the gate.
  std::string gate() const {
    const std::string folder = folder_.path().string();
    return "gate() { case $1 in *slow*) touch " + folder + "/begun; while [ ! -e " + folder +
           "/open ]; do sleep 0.02; done ;; esac; }\n";
  }
  void await(const std::string& file) const {
    while (!fs::exists(folder_ / file)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  // Opens it once so many questions wait for a process, which they know when they hear nothing for a while.
  std::function<bool(const std::string&)> when_waiting(int count) {
    return [this, count, told = false](const std::string& text) mutable {
      if (text.empty() && !std::exchange(told, true) && ++waiting_ == count) write_file(folder_ / "open", "");
      return true;
    };
  }

  const Interruption quiet_;  // writing to a process that is gone is no signal
  ScratchFolder folder_;
  std::atomic<int> waiting_ = 0;
};

// Answers each of a line's questions with how many there were, and with the process's number.
const std::string kEcho = R"(
answer() { echo "{\"id\":$1,\"status\":\"ok\",\"text\":\"$2\",\"cut\":false,\"prompt_tokens\":1,\"completion_tokens\":2,\"warm\":[\"b\"]}" >&4; }
ids() { grep -o '"id":[0-9]*' <<<"$1" | cut -d: -f2; }
)";

TEST_F(ScriptedWorkers, ADeadProcessIsSaidAndReplaced) {
  ChatPool pool(setup(kEcho + R"(while read -r line <&3; do
case $line in *crash*) exit 3 ;; *) for id in $(ids "$line"); do answer $id fine; done ;; esac; done)"),
                1, 60);
  EXPECT_EQ(pool.ask(question("hello")).text, "fine");
  const auto refused = refusal_of([&] { pool.ask(question("crash")); });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->fault, ChatFault::kProcess);
  EXPECT_THAT(refused->sentence, HasSubstr("ended with status 3"));
  EXPECT_EQ(pool.ask(question("hello")).text, "fine");
}

TEST_F(ScriptedWorkers, ADeathBetweenQuestionsCostsNone) {
  ChatPool pool(setup(kEcho + R"(while read -r line <&3; do
for id in $(ids "$line"); do answer $id $$; done; case $line in *last*) exit 3 ;; esac; done)"),
                1, 60);
  const std::string process = pool.ask(question("last")).text;
  const auto is_gone = [&] {
    std::ifstream state("/proc/" + process + "/stat");
    std::string number, name, letter;
    return !(state >> number >> name >> letter) || letter == "Z";
  };
  while (!is_gone()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_NE(pool.ask(question("hello")).text, process);
}

// One of those that are given together kills the process: it alone is told so.
TEST_F(ScriptedWorkers, ADeathCostsTheQuestionAtFault) {
  ChatPool pool(setup(kEcho + gate() + R"(while read -r line <&3; do gate "$line"
case $line in *crash*) exit 3 ;; *) for id in $(ids "$line"); do answer $id fine; done ;; esac; done)"),
                1, 60);
  std::atomic<int> fine = 0, refused = 0;
  std::thread first([&] { fine += pool.ask(question("slow", "other")).text == "fine" ? 1 : 0; });
  await("begun");
  at_once(6, [&](int i) {
    const ChatQuestion asked = question(i == 2 ? "crash" : "hello", i < 4 ? "b" : "c");
    const auto why = refusal_of([&] { fine += pool.ask(asked, when_waiting(6)).text == "fine" ? 1 : 0; });
    if (!why) return;
    ++refused;
    EXPECT_EQ(i, 2);
  });
  first.join();
  EXPECT_EQ(fine, 6);
  EXPECT_EQ(refused, 1);
}

TEST_F(ScriptedWorkers, QuestionsThatWaitAreGivenTogether) {
  ChatPool pool(setup(kEcho + gate() + R"(while read -r line <&3; do gate "$line"
count=$(ids "$line" | wc -l); for id in $(ids "$line"); do answer $id "$count"; done; done)"),
                1, 60);
  std::thread first([&] { EXPECT_EQ(pool.ask(question("slow")).text, "1"); });
  await("begun");
  at_once(5, [&](int i) {
    const std::string text = pool.ask(question("hello", i < 3 ? "b" : "c"), when_waiting(5)).text;
    EXPECT_EQ(text, i < 3 ? "3" : "2");
  });
  first.join();
}

TEST_F(ScriptedWorkers, AQuestionIsStoppedAtItsTimeLimit) {
  ChatPool pool(setup(kEcho + R"(while read -r line <&3; do
case $line in *hang*) exec sleep 60 ;; *) for id in $(ids "$line"); do answer $id fine; done ;; esac; done)"),
                1, 2.5);
  const auto refused = refusal_of([&] { pool.ask(question("hang")); });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->fault, ChatFault::kTimeout);
  EXPECT_THAT(refused->sentence, HasSubstr("within 2.5 s"));
  EXPECT_EQ(pool.ask(question("hello")).text, "fine");
}

TEST_F(ScriptedWorkers, AQuestionThatNobodyTakesUpIsRefused) {
  ChatPool pool(setup(kEcho + gate() + R"(while read -r line <&3; do gate "$line"
for id in $(ids "$line"); do echo "{\"id\":$id,\"text\":\".\"}" >&4; done; exec sleep 60; done)"),
                1, 3);
  std::thread first([&] { EXPECT_EQ(refusal_of([&] { pool.ask(question("slow")); })->fault, ChatFault::kTimeout); });
  await("begun");
  std::atomic<int> busy = 0;
  at_once(3, [&](int i) {
    const auto refused = refusal_of([&] { pool.ask(question("x", std::to_string(i))); });
    busy += refused && refused->fault == ChatFault::kBusy ? 1 : 0;
  });
  EXPECT_GE(busy, 2) << "all but the one that was taken up when the first was over";
  first.join();
}

TEST_F(ScriptedWorkers, WhatTheyRefuseIsRefused) {
  ChatPool pool(setup(kEcho + R"(while read -r line <&3; do id=$(ids "$line")
case $line in
*context*) echo "{\"id\":$id,\"status\":\"failed\",\"code\":\"context\",\"message\":\"too long\",\"warm\":[]}" >&4 ;;
*template*) echo "{\"id\":$id,\"status\":\"failed\",\"message\":\"a role\",\"warm\":[]}" >&4 ;;
*broken*) echo "{\"id\":$id,\"status\":\"failed\",\"message\":\"threw\",\"broken\":true,\"warm\":[]}" >&4 ;;
*garbage*) echo "no line of ours" >&4 ;;
*) answer $id $$ ;; esac; done)"),
                1, 60);
  const std::string process = pool.ask(question("hello")).text;
  EXPECT_EQ(refusal_of([&] { pool.ask(question("context")); })->fault, ChatFault::kContext);
  const auto refused = refusal_of([&] { pool.ask(question("template")); });
  EXPECT_EQ(refused->fault, ChatFault::kQuestion);
  EXPECT_EQ(refused->sentence, "a role");
  EXPECT_EQ(pool.ask(question("hello")).text, process) << "the process goes on";
  EXPECT_EQ(refusal_of([&] { pool.ask(question("broken")); })->fault, ChatFault::kProcess);
  const std::string next = pool.ask(question("hello")).text;
  EXPECT_NE(next, process);
  EXPECT_EQ(refusal_of([&] { pool.ask(question("garbage")); })->fault, ChatFault::kProcess);
  EXPECT_NE(pool.ask(question("hello")).text, next);
}

TEST_F(ScriptedWorkers, ACancelledQuestionIsPassedOnAndTheAnswerIsWhatThereIs) {
  ChatPool pool(setup(kEcho + R"(while read -r line <&3; do id=$(ids "$line")
case $line in *cancel*) ;; *) echo "{\"id\":$id,\"text\":\"a\"}" >&4
while read -r line <&3; do case $line in *cancel*:$id*) break ;; esac; done; answer $id a ;; esac; done)"),
                1, 60);
  std::string heard;
  const ChatAnswer answer = pool.ask(question("hello"), [&](const std::string& text) {
    heard += text;
    return text.empty();
  });
  EXPECT_EQ(heard, "a");
  EXPECT_EQ(answer.text, "a");
  EXPECT_EQ(answer.completion_tokens, 2);
  EXPECT_THROW(pool.ask(question("hello"), [](const std::string&) -> bool { throw std::runtime_error("gone"); }),
               std::runtime_error);
}

TEST_F(ScriptedWorkers, ASilentQuestionLetsItsAskerSayThatHeIsGone) {
  ChatPool pool(setup(kEcho + R"(while read -r line <&3; do id=$(ids "$line")
read -r line <&3; answer $id ""; done)"),
                1, 60);
  int silent = 0;
  const ChatAnswer answer = pool.ask(question("hello"), [&](const std::string& text) {
    silent += text.empty() ? 1 : 0;
    return false;
  });
  EXPECT_EQ(silent, 1);
  EXPECT_EQ(answer.text, "");
}

TEST_F(ScriptedWorkers, TheProcessWithTheWeightsIsPreferred) {
  ChatPool pool(setup(gate() + R"(while read -r line <&3; do id=$(grep -o '"id":[0-9]*' <<<"$line" | cut -d: -f2)
base=$(grep -o '"base":"[a-z]*' <<<"$line" | cut -d'"' -f4)
gate "$line"
echo "{\"id\":$id,\"status\":\"ok\",\"text\":\"$$\",\"cut\":false,\"prompt_tokens\":1,\"completion_tokens\":2,\"warm\":[\"$base\"]}" >&4; done)"),
                2, 60);
  std::string first, second;
  std::thread other([&] { first = pool.ask(question("slow", "a")).text; });
  await("begun");
  second = pool.ask(question("hello", "b")).text;
  write_file(folder_ / "open", "");
  other.join();
  EXPECT_NE(first, second);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pool.ask(question("hello", "a")).text, first);
    EXPECT_EQ(pool.ask(question("hello", "b")).text, second);
  }
}

TEST_F(ScriptedWorkers, AProgramThatCannotStartIsSaid) {
  ChatPool pool({folder_ / "nothing", folder_ / "store"}, 1, 60);
  const auto refused = refusal_of([&] { pool.ask(question("hello")); });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->fault, ChatFault::kProcess);
  EXPECT_THAT(refused->sentence, HasSubstr("cannot start a worker"));
}

TEST_F(ScriptedWorkers, APoolThatEndsRefusesWhatWaits) {
  std::vector<std::thread> askers;
  std::atomic<int> refused = 0, begun = 0;
  {
    ChatPool pool(setup("sleep 60"), 1, 60);
    for (int i = 0; i < 3; ++i) {
      askers.emplace_back([&, i] {
        ++begun;
        const auto why = refusal_of([&] { pool.ask(question("hello", std::to_string(i))); });
        refused += why && why->sentence.starts_with("the service is ending") ? 1 : 0;
      });
    }
    while (begun < 3) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  for (auto& asker : askers) asker.join();
  EXPECT_EQ(refused, 3);
}

std::set<pid_t> children() {
  std::set<pid_t> found;
  for (const auto& thread : fs::directory_iterator("/proc/self/task")) {
    std::ifstream list(thread.path() / "children");
    found.insert(std::istream_iterator<pid_t>(list), {});
  }
  return found;
}

// Pools of the program itself, on the organism.
class ServedChats : public testing::Test {
 protected:
  WorkerSetup setup(ServedOrganism& organism) { return {kProgram, organism.store().root()}; }

  const Interruption quiet_;
};

TEST_F(ServedChats, ManyAtOnceGetWhatTheMatrixGets) {
  ServedOrganism organism("plugin = \"output-moderation\"\nphrases = [\"the\"]");
  ChatPool pool(setup(organism), 2, 120);
  struct Wanted {
    StageRequest served;
    Generation generation;
    bool guarded;
  };
  std::vector<Wanted> wanted;
  for (const char* attack : {"none", "few"}) {
    for (const char* defense : {"none", "guarded"}) {
      for (auto& each : organism.generations(attack, defense)) {
        wanted.push_back({organism.served(attack, defense), std::move(each), std::string(defense) == "guarded"});
      }
    }
  }
  ASSERT_GT(wanted.size(), 20U);
  at_once(static_cast<int>(wanted.size()), [&](int i) {
    const auto& [served, generation, guarded] = wanted[static_cast<std::size_t>(i)];
    std::string heard;
    int pieces = 0;
    const ChatAnswer answer = pool.ask({served, generation.probe, organism.options()}, [&](const std::string& text) {
      heard += text;
      pieces += text.empty() ? 0 : 1;
      return true;
    });
    EXPECT_EQ(answer.text, generation.reply);
    EXPECT_EQ(answer.cut, generation.cut);
    EXPECT_EQ(heard, answer.text);
    EXPECT_GT(answer.prompt_tokens, 0);
    EXPECT_TRUE(pieces <= 1 || !guarded);
  });
}

TEST_F(ServedChats, NothingIsMixedUpWhileProcessesAreKilled) {
  ServedOrganism organism("plugin = \"safety-prompt\"\ntext = \"You say no.\"");
  const std::set<pid_t> others = children();  // that asks plugins
  ChatPool pool(setup(organism), 2, 120);
  std::vector<std::pair<StageRequest, std::vector<Generation>>> models;
  for (const char* attack : {"none", "few"}) {
    for (const char* defense : {"none", "guarded"}) {
      models.emplace_back(organism.served(attack, defense), organism.generations(attack, defense));
    }
  }
  std::atomic<bool> over = false;
  std::atomic<int> right = 0, refused = 0, killed = 0;
  std::thread killer([&] {
    while (!over || killed == 0) {
      for (const pid_t child : children()) {
        if (!others.contains(child) && ::kill(child, SIGKILL) == 0) ++killed;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
    }
  });
  at_once(50, [&](int i) {
    const auto& [served, generations] = models[static_cast<std::size_t>(i) % models.size()];
    const Generation& wanted = generations[static_cast<std::size_t>(i) / models.size() % generations.size()];
    std::string heard;
    const auto why = refusal_of([&] {
      const ChatAnswer answer = pool.ask({served, wanted.probe, organism.options()}, [&](const std::string& text) {
        heard += text;
        return true;
      });
      EXPECT_EQ(answer.text, wanted.reply);
      ++right;
    });
    EXPECT_TRUE(wanted.reply.starts_with(heard));
    if (!why) return;
    ++refused;
    EXPECT_EQ(why->fault, ChatFault::kProcess);
    EXPECT_THAT(why->sentence, HasSubstr("was killed by signal 9"));
  });
  over = true;
  killer.join();
  EXPECT_EQ(right + refused, 50);
  for (const auto& [served, generations] : models) {
    const ChatQuestion question{served, generations.front().probe, organism.options()};
    std::string text;
    for (int i = 0; i < 3 && text.empty(); ++i)
      refusal_of([&] { text = pool.ask(question).text; });  // the last kill may come late
    EXPECT_EQ(text, generations.front().reply);
  }
}

TEST_F(ServedChats, AreCancelledWhileTheProcessComputes) {
  ServedOrganism organism;
  ChatPool pool(setup(organism), 1, 120);
  GenerateOptions options;
  options.temperature = 5;
  options.max_new_tokens = 100000;
  int heard = 0;
  const ChatAnswer answer = pool.ask({organism.served("none", "none"), {{"user", "where is the mill"}}, options},
                                     [&](const std::string& text) { return text.empty() || ++heard < 3; });
  EXPECT_FALSE(answer.cut);
  EXPECT_GE(answer.completion_tokens, 3);
  const ChatAnswer whole = pool.ask({organism.served("none", "none"), {{"user", "where is the mill"}}, options});
  EXPECT_GE(whole.completion_tokens, answer.completion_tokens);
  EXPECT_TRUE(whole.text.starts_with(answer.text)) << "the same seed";
}

TEST_F(ServedChats, SayWhatDoesNotFitWhatIsFlaggedAndWhatIsCounted) {
  ServedOrganism organism("plugin = \"data-filter\"\nphrases = [\"forbidden\"]");
  ChatPool pool(setup(organism), 1, 120);
  const StageRequest served = organism.served("few", "guarded");
  std::string words;
  for (int i = 0; i < 300; ++i) words += "the ";
  const auto refused = refusal_of([&] { pool.ask({served, {{"user", words}}, organism.options()}); });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->fault, ChatFault::kContext);
  EXPECT_EQ(pool.flagged(organism.stage("screen", "few", "guarded"), {"a forbidden thing", "a thing"}),
            (std::vector<bool>{true, false}));
  const Conversation row = {{"user", "where is the mill"}, {"assistant", "by the river"}};
  const auto model = organism.model(served);
  const auto count = static_cast<std::int64_t>(model->encode(row).ids.size());
  EXPECT_EQ(pool.tokens(served, {row, row}, 0), (std::vector<std::int64_t>{count, count}));
  EXPECT_EQ(pool.tokens(served, {row}, 4), (std::vector<std::int64_t>{4}));
}

}  // namespace
}  // namespace holdfast
