#include "run/slurm.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/digest.h"
#include "base/programs.h"

namespace holdfast {
namespace {

constexpr std::int64_t kDefaultMaxArraySize = 1001;
constexpr int kTimeOver = 124;  // as timeout(1) ends
constexpr int kNotThere = 127;

std::string one_line(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Its programs wait for ever for a controller that does not answer.
ProgramEnd ask(std::vector<std::string> words, const std::string& input = "") {
  words.insert(words.begin(), {"timeout", "--kill-after=5", "60"});
  ProgramEnd end = run_program(words, input);
  if (end.status == kTimeOver) end.err = words[3] + " did not answer within a minute";
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
  if (end.status == kNotThere)
    throw Error("there is no sbatch here: run this where jobs are submitted, or take another --launcher");
  if (end.status != 0) throw Error("Slurm refused the workers: " + one_line(end.err));
  return end.out.substr(0, end.out.find_first_of(";\n"));
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
  if (end.status != 0) log_warning("workers that have not begun are still queued: " + one_line(end.err));
}

}  // namespace holdfast
