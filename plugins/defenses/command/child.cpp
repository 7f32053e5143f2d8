#include "child.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

extern char** environ;

namespace command {
namespace {

constexpr std::size_t kMostSaid = 4000;           // of standard error, in bytes
constexpr std::size_t kLastLines = 5;             // of it, in messages
constexpr std::size_t kLongestLine = 256u << 20;  // of standard output, in bytes

[[noreturn]] void fail(const std::string& what, int reason) { throw holdfast::Error(what + ": " + std::strerror(reason)); }

void close_end(int& end) {
  if (end >= 0) ::close(end);
  end = -1;
}

// A pipe whose ends no other child inherits; above the standard ones, so that dup2 never overwrites one that is still needed.
struct Pipe {
  Pipe() {
    int low[2];
    if (::pipe2(low, O_CLOEXEC) != 0) fail("cannot make a pipe", errno);
    for (int i = 0; i < 2; ++i) {
      ends[i] = ::fcntl(low[i], F_DUPFD_CLOEXEC, 16);
      ::close(low[i]);
    }
  }
  ~Pipe() {
    for (int& end : ends) close_end(end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  /// That end, which the caller closes; reads and writes do not wait.
  int ours(int which) {
    const int end = ends[which];
    ends[which] = -1;
    ::fcntl(end, F_SETFL, O_NONBLOCK);
    return end;
  }

  int ends[2] = {-1, -1};  // read, write
};

// Null-terminated, as exec takes them.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> found;
  for (auto& text : texts) found.push_back(text.data());
  found.push_back(nullptr);
  return found;
}

// Python holds back what it prints into a pipe, and a program that works for long would look silent.
std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** each = environ; *each != nullptr; ++each) variables.emplace_back(*each);
  variables.emplace_back("PYTHONUNBUFFERED=1");
  return variables;
}

// Between fork and exec: only calls that are safe there, for other threads may have held any lock.
[[noreturn]] void become(char* const* words, char* const* variables, const char* folder, const std::array<int, 3>& ends,
                         int failure, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM}) ::signal(signal, SIG_DFL);
  const bool ready = ::getppid() == parent && ::chdir(folder) == 0 && ::dup2(ends[0], 0) == 0 && ::dup2(ends[1], 1) == 1 &&
                     ::dup2(ends[2], 2) == 2;
  if (ready) ::execve(words[0], words, variables);
  const int reason = errno;
  [[maybe_unused]] const auto told = ::write(failure, &reason, sizeof reason);
  ::_exit(127);
}

// While this lives, writing to a child that closed its input is an error and no signal.
class NoBrokenPipes {
 public:
  NoBrokenPipes() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before_);
  }
  ~NoBrokenPipes() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const timespec now = {};
    if (sigismember(&before_, SIGPIPE) == 0) {
      while (::sigtimedwait(&pipe, nullptr, &now) > 0) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipes(const NoBrokenPipes&) = delete;
  NoBrokenPipes& operator=(const NoBrokenPipes&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Child::Child(const holdfast::Command& command) {
  Pipe input, output, errors, failure;
  std::vector<std::string> words = command.words, variables = environment();
  const auto arguments = pointers(words), settings = pointers(variables);
  const std::string folder = command.folder.string();
  const std::array<int, 3> ends = {input.ends[0], output.ends[1], errors.ends[1]};
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) fail("cannot start the program \"" + command.text + "\"", errno);
  if (pid_ == 0) become(arguments.data(), settings.data(), folder.c_str(), ends, failure.ends[1], parent);
  ::setpgid(pid_, pid_);  // whoever of the two comes first
  close_end(failure.ends[1]);
  int reason = 0;
  ssize_t told = 0;
  while ((told = ::read(failure.ends[0], &reason, sizeof reason)) < 0 && errno == EINTR) {
  }
  if (told > 0) {
    ::waitpid(pid_, nullptr, 0);
    fail("cannot start the program \"" + command.text + "\" in " + folder, reason);
  }
  input_ = input.ours(1);
  output_ = output.ours(0);
  errors_ = errors.ours(0);
}

// The leader is waited for last: until then its number is nobody else's.
Child::~Child() {
  for (int* end : {&input_, &output_, &errors_}) close_end(*end);
  ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::optional<int> Child::converse(const std::string& input, double silence,
                                   const std::function<void(const std::string&)>& take) {
  const NoBrokenPipes guard;
  const auto allowed = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(silence));
  auto deadline = Clock::now() + allowed;
  const auto heard = [&](const std::string& line) {
    take(line);
    deadline = Clock::now() + allowed;
  };
  std::size_t written = 0;
  bool open = true;
  while (open) {
    if (written == input.size()) close_end(input_);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    std::array<pollfd, 3> ends = {pollfd{output_, POLLIN, 0}, pollfd{errors_, POLLIN, 0}, pollfd{input_, POLLOUT, 0}};
    if (::poll(ends.data(), ends.size(), static_cast<int>(std::min<std::int64_t>(left, 1000))) < 0) continue;
    if (ends[2].revents != 0) write_some(input, written);
    if (ends[1].revents != 0) read_errors();
    if (ends[0].revents != 0) open = read_lines(heard);
  }
  if (!line_.empty()) heard(line_);
  line_.clear();
  close_end(input_);
  return end_before(deadline);
}

// A child that closed its input wants no more of it: how it ends says whether that is well.
void Child::write_some(const std::string& input, std::size_t& written) {
  const ssize_t count = ::write(input_, input.data() + written, input.size() - written);
  if (count >= 0) {
    written += static_cast<std::size_t>(count);
  } else if (errno != EAGAIN && errno != EINTR) {
    written = input.size();
  }
}

// False once the child has closed its output.
bool Child::read_lines(const std::function<void(const std::string&)>& take) {
  char block[65536];
  const ssize_t count = ::read(output_, block, sizeof block);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  line_.append(block, static_cast<std::size_t>(count));
  if (line_.size() > kLongestLine) throw holdfast::Error("prints a line of more than 256 MiB, expected one of JSON");
  std::size_t begin = 0;
  for (auto end = line_.find('\n'); end != std::string::npos; end = line_.find('\n', begin)) {
    take(line_.substr(begin, end - begin));
    begin = end + 1;
  }
  line_.erase(0, begin);
  return true;
}

void Child::read_errors() {
  char block[4096];
  ssize_t count = 0;
  while ((count = ::read(errors_, block, sizeof block)) > 0) {
    said_.append(block, static_cast<std::size_t>(count));
    if (said_.size() > kMostSaid) said_.erase(0, said_.size() - kMostSaid);
  }
  if (count == 0) close_end(errors_);
}

bool Child::has_ended(int& status) {
  siginfo_t found = {};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &found, WEXITED | WNOHANG | WNOWAIT) != 0 || found.si_pid == 0) return false;
  status = found.si_code == CLD_EXITED ? W_EXITCODE(found.si_status, 0) : W_EXITCODE(0, found.si_status);
  return true;
}

std::optional<int> Child::end_before(Clock::time_point deadline) {
  int status = 0;
  while (!has_ended(status)) {
    if (Clock::now() >= deadline) return std::nullopt;
    pollfd errors = {errors_, POLLIN, 0};
    ::poll(&errors, 1, 10);
    if (errors_ >= 0) read_errors();
  }
  return status;
}

std::string Child::last_words() {
  if (errors_ >= 0) read_errors();
  std::vector<std::string> lines(1);
  for (const char c : said_) {
    if (c == '\n') lines.emplace_back();
    if (static_cast<unsigned char>(c) >= 0x20) lines.back() += c;
  }
  std::erase(lines, "");
  std::string words;
  for (std::size_t i = lines.size() - std::min(lines.size(), kLastLines); i < lines.size(); ++i) {
    words += (words.empty() ? "" : " | ") + lines[i];
  }
  return words;
}

}  // namespace command
