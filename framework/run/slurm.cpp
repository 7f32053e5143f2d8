#include "run/slurm.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/programs.h"

namespace holdfast {
namespace {

constexpr std::int64_t kDefaultMaxArraySize = 1001;
constexpr int kTimeOver = 124;  // as timeout(1) ends
constexpr int kNotThere = 127;
constexpr int kPingSeconds = 10;
constexpr const char* kNoSlurm = "there is no Slurm here: run this where jobs are submitted, or take another --launcher";

// Its lines one after the other, without the names that they begin with: "sbatch: error: ".
std::string one_line(const std::string& text) {
  std::string all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    for (const char* name : {"scontrol: ", "sbatch: ", "squeue: ", "scancel: ", "error: ", "fatal: "}) {
      if (line.starts_with(name)) line.erase(0, std::string_view(name).size());
    }
    if (line.empty() || line.starts_with("**")) continue;  // a frame of stars
    all += (all.empty() ? "" : "; ") + line;
  }
  return all;
}

// Its programs wait for ever for a controller that does not answer.
ProgramEnd ask(std::vector<std::string> words, const std::string& input = "", int seconds = 60) {
  const std::string name = words.front();
  words.insert(words.begin(), {"timeout", "--kill-after=5", std::to_string(seconds)});
  ProgramEnd end = run_program(words, input);
  if (end.status == kTimeOver) end.err = name + " did not answer within " + std::to_string(seconds) + " s\n" + end.err;
  return end;
}

}  // namespace

std::string slurm_job_name(const std::string& scenario, const fs::path& store) {
  std::string name = "holdfast-";
  for (const char c : scenario) name.push_back(std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-');
  return name + "-" + sha256(fs::absolute(store).lexically_normal().string()).substr(0, 8);
}

std::int64_t slurm_max_array_size() {
  const ProgramEnd end = ask({"scontrol", "show", "config"});
  const auto line = end.out.find("MaxArraySize");
  const auto number = line == std::string::npos ? line : end.out.find_first_of("0123456789", line);
  if (number == std::string::npos) return kDefaultMaxArraySize;
  return std::max<std::int64_t>(1, std::stoll(end.out.substr(number)) - 1);  // the largest index is below it
}

std::string slurm_submit(const std::string& script) {
  const ProgramEnd end = ask({"sbatch", "--parsable"}, script);
  if (end.status == kNotThere) throw Error(kNoSlurm);
  if (end.status != 0) throw Error("Slurm refused the workers: " + one_line(end.err));
  return end.out.substr(0, end.out.find_first_of(";\n"));
}

std::string slurm_silence() {
  const ProgramEnd end = ask({"scontrol", "ping"}, "", kPingSeconds);
  if (end.status == kNotThere) return kNoSlurm;
  return end.status == 0 ? "" : "Slurm does not answer: " + one_line(end.err.empty() ? end.out : end.err);
}

std::optional<std::int64_t> slurm_tasks(const std::string& job_name) {
  const ProgramEnd end = ask({"squeue", "--noheader", "--array", "--me", "--name=" + job_name,
                              "--states=PENDING,RUNNING,COMPLETING,SUSPENDED", "--format=%i"});
  if (end.status != 0) {
    log_warning("Slurm does not say what became of the workers: " + one_line(end.err));
    return std::nullopt;
  }
  return std::count(end.out.begin(), end.out.end(), '\n');
}

void slurm_cancel_pending(const std::string& job_name) {
  const ProgramEnd end = ask({"scancel", "--state=PENDING", "--name=" + job_name});
  if (end.status != 0 && end.status != kNotThere)
    log_warning("workers that have not begun are still queued: " + one_line(end.err));
}

}  // namespace holdfast
