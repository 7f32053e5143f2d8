#include "base/isolation.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace holdfast {
namespace {

void limit(int resource, double gib) {
  if (gib <= 0) return;
  const auto bytes = static_cast<rlim_t>(gib * static_cast<double>(1ULL << 30));
  const rlimit both{bytes, bytes};
  ::setrlimit(resource, &both);
}

// Those who may not make a network namespace may do so in a user namespace of their own, in which they stay who they are.
bool leave_network() {
  if (::unshare(CLONE_NEWNET) == 0) return true;
  const std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  put_into("/proc/self/setgroups", "deny");
  return put_into("/proc/self/uid_map", user + " " + user + " 1").empty() &&
         put_into("/proc/self/gid_map", group + " " + group + " 1").empty();
}

std::vector<pid_t> own_children() {
  std::vector<pid_t> children;
  std::error_code gone;
  for (const auto& thread : fs::directory_iterator("/proc/self/task", gone)) {
    std::ifstream list(thread.path() / "children");
    children.insert(children.end(), std::istream_iterator<pid_t>(list), {});
  }
  return children;
}

bool has_mark(pid_t process, const std::string& mark) {
  std::ifstream in("/proc/" + std::to_string(process) + "/environ", std::ios::binary);
  const std::string wanted = std::string(kProcessMark) + "=" + mark;
  for (std::string variable; std::getline(in, variable, '\0');) {
    if (variable == wanted) return true;
  }
  return false;
}

}  // namespace

std::string limit_process(const ProcessLimits& limits) {
  limit(RLIMIT_DATA, limits.memory_gib);
  limit(RLIMIT_FSIZE, limits.file_gib);
  ::signal(SIGXFSZ, SIG_IGN);  // a file that would be too large is an error of whoever writes it
  if (limits.network || leave_network()) return "";
  return std::strerror(errno);
}

std::string put_into(const fs::path& kernel_file, const std::string& text) {
  const int file = ::open(kernel_file.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return std::strerror(errno);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const std::string why = written ? "" : std::strerror(errno);
  ::close(file);
  return why;
}

std::string why_no_network_limit() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(leave_network() ? 0 : errno);
  if (child < 0) return std::strerror(errno);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return "the process that tried died";
  return WEXITSTATUS(status) == 0 ? "" : std::strerror(WEXITSTATUS(status));
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

// Again and again: what was started meanwhile is adopted when its parent ends.
void end_marked(const std::string& mark) {
  bool found = true;
  while (found) {
    found = false;
    for (const pid_t child : own_children()) {
      if (!has_mark(child, mark)) continue;
      found = true;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }
}

}  // namespace holdfast
