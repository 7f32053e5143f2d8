#include "base/programs.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

extern char** environ;

namespace holdfast {
namespace {

constexpr int kNotThere = 127;

// A file without a name.
class Scratch {
 public:
  explicit Scratch(const std::string& content = "") : descriptor_(::memfd_create("holdfast", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw Error(std::string("cannot make a file in memory: ") + std::strerror(errno));
    for (std::size_t at = 0; at < content.size();) {
      const ssize_t written = ::write(descriptor_, content.data() + at, content.size() - at);
      if (written < 0 && errno != EINTR) throw Error(std::string("cannot write a file in memory: ") + std::strerror(errno));
      at += written < 0 ? 0 : static_cast<std::size_t>(written);
    }
    ::lseek(descriptor_, 0, SEEK_SET);
  }
  ~Scratch() { ::close(descriptor_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  int descriptor() const { return descriptor_; }
  std::string content() const {
    std::string text;
    char block[4096];
    ::lseek(descriptor_, 0, SEEK_SET);
    for (ssize_t count = 0; (count = ::read(descriptor_, block, sizeof block)) > 0;) {
      text.append(block, static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int descriptor_;
};

// Returns the reason, or 0. Signals are the program's own again.
int spawn(const std::vector<std::string>& words, int in, int out, int err, bool own_session, pid_t* pid) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigdefault(&attributes, &all);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(
      &attributes, static_cast<short>(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (own_session ? POSIX_SPAWN_SETSID : 0)));
  const int reason = ::posix_spawnp(pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return reason;
}

}  // namespace

ProgramEnd run_program(const std::vector<std::string>& words, const std::string& input) {
  const Scratch in(input), out, err;
  pid_t pid = -1;
  const int reason = spawn(words, in.descriptor(), out.descriptor(), err.descriptor(), false, &pid);
  if (reason == ENOENT) return {kNotThere, "", words.front() + " is not there"};
  if (reason != 0) throw Error("cannot start " + words.front() + ": " + std::strerror(reason));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out.content(), err.content()};
}

pid_t start_program(const std::vector<std::string>& words, const fs::path& log) {
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0) throw Error("cannot write " + log.string() + ": " + std::strerror(errno));
  pid_t pid = -1;
  const int reason = spawn(words, in, out, out, true, &pid);
  ::close(in);
  ::close(out);
  if (reason != 0) throw Error("cannot start " + words.front() + ": " + std::strerror(reason));
  return pid;
}

}  // namespace holdfast
