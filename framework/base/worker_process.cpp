#include "base/worker_process.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/process_name.h"

extern char** environ;

namespace holdfast {
namespace {

// Both ends above the descriptors that the child gets, so that dup2 never overwrites one that is still needed.
void make_pipe(int ends[2]) {
  int low[2];
  if (::pipe2(low, O_CLOEXEC) != 0) throw Error(std::string("cannot make a pipe: ") + std::strerror(errno));
  for (int i = 0; i < 2; ++i) {
    ends[i] = ::fcntl(low[i], F_DUPFD_CLOEXEC, 16);
    ::close(low[i]);
  }
}

// What this process has in its environment, and the mark.
std::vector<std::string> marked_environment(const std::string& mark) {
  const std::string name = std::string(kProcessMark) + "=";
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with(name)) variables.emplace_back(*variable);
  }
  variables.push_back(name + mark);
  return variables;
}

// `output`: -1 for that of this process's errors. In a session of its own, so that no key pressed here reaches it.
pid_t spawn(const fs::path& program, const std::string& mark, int requests, int answers, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, requests, kWorkerRequests);
  posix_spawn_file_actions_adddup2(&actions, answers, kWorkerAnswers);
  posix_spawnattr_t attributes;  // the run's own signal settings are not the worker's
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int signal : {SIGTERM, SIGPIPE, SIGSEGV, SIGUSR1}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  std::string name = program.string();
  std::string verb = "stage-worker";
  char* arguments[] = {name.data(), verb.data(), nullptr};
  std::vector<std::string> variables = marked_environment(mark);
  std::vector<char*> environment;
  for (auto& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  pid_t pid = -1;
  const int failure = ::posix_spawn(&pid, name.c_str(), &actions, &attributes, arguments, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) throw Error("cannot start a worker, " + name + ": " + std::strerror(failure));
  return pid;
}

// A process that dies closes its pipe a little before.
bool ends_soon(pid_t pid, int& status) {
  for (int waited = 0; waited < 200; ++waited) {
    if (::waitpid(pid, &status, WNOHANG) != 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

WorkerProcess::WorkerProcess(const WorkerSetup& setup) {
  static std::atomic<std::int64_t> started = 0;
  mark_ = process_name() + "." + std::to_string(++started);
  adopt_orphans();
  int down[2];
  int up[2];
  int out[2] = {-1, -1};
  make_pipe(down);
  make_pipe(up);
  if (!setup.own_output) make_pipe(out);
  pid_ = spawn(setup.program, mark_, down[0], up[1], out[1]);
  ::close(down[0]);
  ::close(up[1]);
  if (out[1] >= 0) ::close(out[1]);
  if (setup.limits.memory_gib > 0) {  // before it is told what to do
    group_ = std::make_unique<MemoryGroup>(setup.limits.memory_gib);
    group_->take(pid_);
  }
  output_ = out[0];
  if (output_ >= 0) ::fcntl(output_, F_SETFL, O_NONBLOCK);  // what it started may hold the other end
  requests_ = down[1];
  answers_ = up[0];
  send({{"parent", ::getpid()},
        {"store", setup.store.string()},
        {"number", setup.number},
        {"threads", setup.threads},
        {"memory_gib", setup.limits.memory_gib},
        {"file_gib", setup.limits.file_gib},
        {"network", setup.limits.network},
        {"workers", setup.workers},
        {"devices", setup.devices},
        {"patience", setup.patience}});
}

WorkerProcess::~WorkerProcess() {
  kill();
  ::close(requests_);
  ::close(answers_);
  if (output_ >= 0) ::close(output_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  end_marked(mark_);
}

std::string WorkerProcess::printed() {
  char block[65536];
  const ssize_t count = ::read(output_, block, sizeof block);
  if (count > 0) return {block, static_cast<std::size_t>(count)};
  if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    ::close(output_);
    output_ = -1;
  }
  return "";
}

bool WorkerProcess::send(const Json& request) {
  const std::string line = canonical(request) + "\n";
  std::size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t written = ::write(requests_, line.data() + sent, line.size() - sent);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    sent += static_cast<std::size_t>(written);
  }
  return true;
}

std::optional<Json> WorkerProcess::receive() {
  char block[65536];
  const ssize_t count = ::read(answers_, block, sizeof block);
  if (count < 0 && errno == EINTR) return std::nullopt;
  if (count <= 0) {
    ended_ = true;
    return std::nullopt;
  }
  buffer_.append(block, static_cast<std::size_t>(count));
  return next_received();
}

std::optional<Json> WorkerProcess::next_received() {
  const auto end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  Json answer = Json::parse(buffer_.substr(0, end));
  buffer_.erase(0, end + 1);
  return answer;
}

std::string WorkerProcess::death() {
  int status = 0;
  const bool dead = ends_soon(pid_, status);
  if (!dead) {
    kill();
    ::waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
  if (!dead) return "closed its pipe and was stopped";
  if (!WIFSIGNALED(status)) return "ended with status " + std::to_string(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (signal == SIGKILL && !killing_ && group_ && group_->ended_one()) {
    return "was ended by the system: it and what it had started had more memory together than memory_limit_gib allows";
  }
  was_killed_ = signal == SIGKILL && !killing_;
  return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

void WorkerProcess::kill() {
  killing_ = true;
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

void WorkerProcess::ask_to_stop() {
  if (pid_ > 0) ::kill(pid_, SIGUSR1);
}

}  // namespace holdfast
