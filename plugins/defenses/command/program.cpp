#include "program.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "child.h"

namespace command {
namespace {

constexpr std::size_t kShown = 80;  // bytes of an answer in a message

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    return "was killed by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")";
  }
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

std::string shown(const std::string& answer) {
  std::string text = answer.substr(0, kShown);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7F; }, '?');
  return "\"" + text + (answer.size() > kShown ? "...\"" : "\"");
}

std::string seconds_text(double seconds) {
  const std::string text = std::to_string(seconds);
  return (seconds == std::floor(seconds) ? text.substr(0, text.find('.')) : text.substr(0, text.find('.') + 3)) + " s";
}

// One run of the program over lines; what it does wrong becomes one sentence.
class Run {
 public:
  Run(const holdfast::Command& command, const std::string& stage, std::size_t lines)
      : child_(command), about_("the program \"" + command.text + "\" (stage \"" + stage + "\") "), lines_(lines) {}

  Child& child() { return child_; }
  std::string line(std::size_t done) const { return "line " + std::to_string(done + 1) + " of " + std::to_string(lines_); }
  [[noreturn]] void fail(const std::string& what) { throw holdfast::Error(sentence(what)); }
  std::string sentence(const std::string& what) {
    const std::string words = child_.last_words();
    return about_ + what + (words.empty() ? "; it wrote nothing to standard error" : "; its last words: " + words);
  }

 private:
  Child child_;
  std::string about_;
  std::size_t lines_;
};

}  // namespace

Program::Program(holdfast::Params& params)
    : command_(params.command("program", "the program with its arguments, e.g. [\"python3\", \"my_filter.py\"]")),
      timeout_(params.number("timeout", 300, "seconds that it may be silent: to its first answer, between two, to its end",
                             0.01, 86400)),
      restarts_(params.integer("restarts", 1, "how often it is started again after a crash, a stage", 0, 1000)) {
  params.unkeyed({"timeout", "restarts"});
  if (command_.words.empty())
    params.mistake("program", "\"command\" runs a program: give program = [\"python3\", \"my_filter.py\"]");
}

std::int64_t Program::ask(const std::string& stage, const std::string& hello, const std::vector<std::string>& lines,
                          const std::string& expected, const std::function<void(std::size_t, const std::string&)>& take) const {
  std::size_t done = 0;
  for (std::int64_t restarts = 0;; ++restarts) {
    std::string input = hello + "\n";
    for (std::size_t i = done; i < lines.size(); ++i) input += lines[i] + "\n";
    Run run(command_, stage, lines.size());
    std::optional<int> status;
    try {
      status = run.child().converse(input, timeout_, [&](const std::string& answer) {
        if (done == lines.size()) {
          throw holdfast::Error("gives more answers than the " + std::to_string(lines.size()) +
                                " lines that it got, the next is " + shown(answer) +
                                "; expected one answer a line, and nothing else on standard output");
        }
        try {
          take(done, answer);
        } catch (const holdfast::Error& error) {
          throw holdfast::Error("answers " + run.line(done) + " with " + shown(answer) + ": " + error.what() + "; expected " +
                                expected);
        }
        ++done;
      });
    } catch (const holdfast::Error& error) {
      run.fail(error.what());
    }
    const bool answered = done == lines.size();
    if (!status) {
      run.fail((answered ? "does not end after its last answer" : "does not answer " + run.line(done)) + " within " +
               seconds_text(timeout_) + ": it hangs, or needs a longer \"timeout\"");
    }
    if (*status == 0 && answered) return restarts;
    if (*status == 0) {
      run.fail("ended with " + std::to_string(done) + " answers to the " + std::to_string(lines.size()) +
               " lines that it got; expected one answer a line, until its input ends");
    }
    if (answered) run.fail(how_it_ended(*status) + " after its last answer; expected status 0");
    const std::string crash = how_it_ended(*status) + " at " + run.line(done);
    if (restarts == restarts_) {
      run.fail(crash +
               (restarts_ == 0 ? "" : ", restarted " + std::to_string(restarts_) + (restarts_ == 1 ? " time" : " times")) +
               "; expected " + expected);
    }
    holdfast::log_warning(run.sentence(crash + " and is started again"));
  }
}

}  // namespace command
