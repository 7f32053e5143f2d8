#include "base/process_name.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/file.h"

namespace holdfast {
namespace {

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Of this boot of this machine, or of this container where it has processes of its own.
std::string machine_name() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  std::error_code none;
  const std::string processes = fs::read_symlink("/proc/self/ns/pid", none).string();
  const std::string facts = std::string(host) + first_line("/proc/sys/kernel/random/boot_id") + processes;
  char name[17];
  std::snprintf(name, sizeof name, "%016zx", std::hash<std::string>()(facts));
  return name;
}

// When a living process started, in the kernel's ticks; nothing where there is none, or only what nobody has waited for yet.
std::optional<std::string> start_of(const std::string& pid) {
  const std::string text = first_line("/proc/" + pid + "/stat");
  const auto name_end = text.rfind(") ");  // the name itself may hold anything
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return std::nullopt;
  if (text[name_end + 2] == 'Z' || text[name_end + 2] == 'X') return std::nullopt;
  std::size_t at = name_end + 2;
  for (int field = 3; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return std::nullopt;
  return text.substr(at + 1, text.find(' ', at + 1) - at - 1);
}

const std::string& this_machine() {
  static const std::string name = machine_name();
  return name;
}

}  // namespace

std::string process_name() {
  static std::mutex mutex;
  static std::pair<pid_t, std::string> known;  // a child has what its parent knew of itself
  const std::lock_guard lock(mutex);
  if (known.first != ::getpid()) {
    const std::string pid = std::to_string(::getpid());
    known = {::getpid(), this_machine() + "-" + pid + "-" + start_of(pid).value_or("0")};
  }
  return known.second;
}

bool process_is_gone(const std::string& name) {
  const auto first = name.find('-');
  const auto second = name.find('-', first + 1);
  if (first == std::string::npos || second == std::string::npos || name.substr(0, first) != this_machine()) return false;
  const std::string pid = name.substr(first + 1, second - first - 1);
  if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) return false;
  return start_of(pid) != name.substr(second + 1);
}

}  // namespace holdfast
