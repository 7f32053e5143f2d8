#include "run/launcher.h"

#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <map>

#include "base/message_of.h"
#include "base/programs.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

class LauncherTest : public testing::Test {
 protected:
  LaunchOptions options(const std::string& launcher) {
    LaunchOptions made;
    made.launcher = launcher;
    made.name = "a scenario";
    made.store = folder / "the store";
    made.program = "/opt/holdfast";
    made.threads = 2;
    made.cluster.hours = 1.5;
    made.cluster.memory_gib = 7.5;
    return made;
  }

  ScratchFolder folder;
};

TEST_F(LauncherTest, FillsATemplate) {
  EXPECT_EQ(filled_template(options("submit -n {n} -g {gpus} -m {memory} -t {time} \"${HOME}\" {command}"), {"cuda:0-1", 3}),
            "submit -n 3 -g 2 -m 8.0 -t 90 \"${HOME}\" /opt/holdfast worker --launched --store '" +
                (folder / "the store").string() +
                "' --device cuda:0-1 --lost-after 60.0 --threads 2 --memory 7.5 --until +5400 --grace 120.0");
}

TEST_F(LauncherTest, RefusesATemplateThatCannotBeFilled) {
  EXPECT_NE(message_of([&] { make_launcher(options("submit {commnad}")); }).find("has {commnad}, expected {n}"),
            std::string::npos);
  EXPECT_NE(message_of([&] { make_launcher(options("slurn")); }).find("Did you mean \"slurm\"?"), std::string::npos);
}

TEST_F(LauncherTest, ATemplateRunsOnceForAllOrOnceForEach) {
  const std::string log = (folder / "log").string();
  make_launcher(options("echo {n} >> " + log + " # {command}"))->start({"cpu", 3});
  make_launcher(options("echo one >> " + log + " # {command}"))->start({"cpu", 3});
  EXPECT_EQ(read_file(log), "3\none\none\none\n");
  const std::string said = message_of([&] {
    make_launcher(options("echo no room >&2; exit 4 # {command}"))->start({"cpu", 1});
  });
  EXPECT_TRUE(said.ends_with("no room")) << said;
}

TEST_F(LauncherTest, SlurmsScriptAsksForWhatTheClusterSays) {
  LaunchOptions given = options("slurm");
  given.cluster.partition = "gpu";
  given.cluster.account = "lab";
  given.cluster.gpu = "a100";
  given.cluster.options = {"--qos=low"};
  given.cluster.setup = {"module load gcc"};
  const std::string script = slurm_script(given, {"cuda", 4});
  for (const char* line :
       {"#SBATCH --array=0-3\n", "#SBATCH --partition=gpu\n", "#SBATCH --account=lab\n", "#SBATCH --time=90\n",
        "#SBATCH --mem=7680M\n", "#SBATCH --gres=gpu:a100:1\n", "#SBATCH --cpus-per-task=2\n", "#SBATCH --signal=B:USR1@120\n",
        "#SBATCH --requeue\n", "#SBATCH --qos=low\n", "\nmodule load gcc\n"}) {
    EXPECT_NE(script.find(line), std::string::npos) << line << "\n" << script;
  }
  EXPECT_EQ(run_program({"bash", "-n"}, script).status, 0);
}

TEST_F(LauncherTest, SlurmsMinutesAreWhole) {
  LaunchOptions given = options("slurm");
  for (const auto& [hours, minutes] :
       std::map<double, const char*>{{1.0 / 60, "1"}, {0.0167, "1"}, {0.3334, "20"}, {0.34, "21"}}) {
    given.cluster.hours = hours;
    EXPECT_NE(slurm_script(given, {"cpu", 1}).find(std::string("#SBATCH --time=") + minutes + "\n"), std::string::npos)
        << hours;
  }
}

// The shell's part of the script, with a worker that ends as one that leaves work.
class SlurmsScriptTest : public LauncherTest {
 protected:
  // How it ends after that signal, and what it asked of Slurm.
  std::pair<int, std::string> after(const std::string& signal) {
    LaunchOptions given = options("slurm");
    given.program = folder / "worker";
    write_file(given.program, "#!/bin/sh\ntrap 'exit 75' USR1\necho began > " + (folder / "began").string() +
                                  "\nwhile :; do sleep 0.05; done\n");
    write_file(folder / "scontrol", "#!/bin/sh\necho \"$@\" > " + (folder / "asked").string() + "\n");
    for (const char* name : {"worker", "scontrol"}) fs::permissions(folder / name, fs::perms::owner_all);
    write_file(folder / "script", slurm_script(given, {"cpu", 1}));
    const ProgramEnd end = run_program({"bash", "-c",
                                        "cd " + folder.path().string() +
                                            "; export PATH=$PWD:$PATH SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=3\n"
                                            "bash script & job=$!; until [ -e began ]; do sleep 0.02; done; kill -" +
                                            signal + " $job; wait $job"});
    return {end.status, fs::exists(folder / "asked") ? read_file(folder / "asked") : ""};
  }
};

TEST_F(SlurmsScriptTest, PassesTheWarningOnAndIsQueuedAgain) {
  EXPECT_EQ(after("USR1"), std::pair(75, std::string("requeue 7_3\n")));
}

// Else nobody could cancel it.
TEST_F(SlurmsScriptTest, IsNotQueuedAgainWhereSlurmEndsIt) { EXPECT_EQ(after("TERM"), std::pair(75, std::string())); }

TEST_F(LauncherTest, ThereIsASentenceWhereThereIsNoSlurm) {
  const char* path = std::getenv("PATH");
  const std::string before = path == nullptr ? "" : path;
  ::setenv("PATH", folder.path().c_str(), 1);
  const std::string said = message_of([&] { make_launcher(options("slurm"))->start({"cpu", 1}); });
  ::setenv("PATH", before.c_str(), 1);
  EXPECT_NE(said.find("there is no Slurm here"), std::string::npos) << said;
}

TEST_F(LauncherTest, CountsAccelerators) {
  EXPECT_EQ(accelerators("cpu"), 0);
  EXPECT_EQ(accelerators("cuda"), 1);
  EXPECT_EQ(accelerators("cuda:3"), 1);
  EXPECT_EQ(accelerators("cuda:2-5"), 4);
}

}  // namespace
}  // namespace holdfast
