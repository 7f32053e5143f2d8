#include "base/memory_group.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <vector>

#include "base/isolation.h"

namespace holdfast {
namespace {

constexpr char kFirst[] = "holdfast-";  // of the names of groups: then the process that made it, and a number

// Files of /proc and of groups have no size; an empty text where it cannot be read.
std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

bool has_word(const std::string& list, const std::string& word, char between) {
  std::istringstream in(list);
  for (std::string each; std::getline(in, each, between);) {
    if (each == word) return true;
  }
  return false;
}

std::string without_line_end(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// The path of the membership whose controllers are named so; of version 2: none are.
std::optional<std::string> membership(const std::string& memberships, bool unified) {
  std::istringstream in(memberships);
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : has_word(controllers, "memory", ',')) return line.substr(second + 1);
  }
  return std::nullopt;
}

struct Mount {
  std::string root;  // the part of the hierarchy that is seen there
  fs::path point;
};

std::optional<Mount> mount_of(const std::string& mounts, bool unified) {
  std::istringstream in(mounts);
  for (std::string line; std::getline(in, line);) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto where = words_of(line.substr(0, dash)), what = words_of(line.substr(dash + 3));
    if (where.size() < 5 || what.size() < 3) continue;
    if (unified ? what[0] == "cgroup2" : what[0] == "cgroup" && has_word(what[2], "memory", ','))
      return Mount{where[3], where[4]};
  }
  return std::nullopt;
}

std::optional<GroupPlace> place_in(const std::string& memberships, const std::string& mounts, bool unified) {
  const auto path = membership(memberships, unified);
  const auto mount = mount_of(mounts, unified);
  if (!path || !mount) return std::nullopt;
  const std::string root = mount->root == "/" ? "" : mount->root;
  if (!path->starts_with(root) || path->find("..") != std::string::npos) return std::nullopt;
  const fs::path below = fs::path(path->substr(root.size())).relative_path();
  return GroupPlace{below.empty() ? mount->point : mount->point / below, unified};
}

// Groups of runs that were killed are empty, and nobody's.
void remove_left_groups(const fs::path& folder) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(folder, gone)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kFirst)) continue;
    const std::string owner = name.substr(sizeof(kFirst) - 1, name.find('-', sizeof(kFirst) - 1) - (sizeof(kFirst) - 1));
    if (!fs::exists(fs::path("/proc") / owner, gone)) ::rmdir(entry.path().c_str());
  }
}

// Groups of version 2 limit the memory of children where they have no processes of their own: who is alone in one moves down.
std::string make_limits_possible(const GroupPlace& place) {
  if (!has_word(without_line_end(text_of(place.folder / "cgroup.controllers")), "memory", ' ')) {
    return "the group " + place.folder.string() + " has no controller of memory";
  }
  if (has_word(without_line_end(text_of(place.folder / "cgroup.subtree_control")), "memory", ' ')) return "";
  const std::string self = std::to_string(::getpid());
  if (without_line_end(text_of(place.folder / "cgroup.procs")) == self) {
    const fs::path own = place.folder / (kFirst + self + "-self");
    if (::mkdir(own.c_str(), 0755) != 0) return own.string() + ": " + std::strerror(errno);
    if (const auto why = put_into(own / "cgroup.procs", self); !why.empty()) return own.string() + ": " + why;
  }
  const std::string why = put_into(place.folder / "cgroup.subtree_control", "+memory");
  return why.empty() ? "" : place.folder.string() + ", which other processes are in or which is not ours: " + why;
}

std::optional<GroupPlace> new_group(const GroupPlace& parent, std::string& why) {
  static std::atomic<std::int64_t> made = 0;
  const GroupPlace place{parent.folder / (kFirst + std::to_string(::getpid()) + "-" + std::to_string(++made)), parent.unified};
  if (::mkdir(place.folder.c_str(), 0755) == 0) return place;
  why = place.folder.string() + ": " + std::strerror(errno);
  return std::nullopt;
}

std::string limit(const GroupPlace& place, double gib) {
  const std::string bytes = std::to_string(static_cast<std::uint64_t>(gib * static_cast<double>(1ULL << 30)));
  if (place.unified) {
    put_into(place.folder / "memory.swap.max", "0");  // there is no such file where nothing swaps
    put_into(place.folder / "memory.oom.group", "1");
    return put_into(place.folder / "memory.max", bytes);
  }
  const std::string why = put_into(place.folder / "memory.limit_in_bytes", bytes);
  if (why.empty()) put_into(place.folder / "memory.memsw.limit_in_bytes", bytes);
  return why;
}

struct Parent {
  std::optional<GroupPlace> place;
  std::string why;  // there is none
};

Parent found_parent() {
  const auto place = memory_group_place(text_of("/proc/self/cgroup"), text_of("/proc/self/mountinfo"));
  if (!place) return {{}, "no hierarchy of control groups is mounted that limits memory"};
  if (place->unified) {
    if (const auto why = make_limits_possible(*place); !why.empty()) return {{}, why};
  }
  remove_left_groups(place->folder);
  std::string why;
  const auto tried = new_group(*place, why);
  if (!tried) return {{}, why};
  why = limit(*tried, 1);
  ::rmdir(tried->folder.c_str());
  return why.empty() ? Parent{place, ""} : Parent{{}, tried->folder.string() + " takes no limit: " + why};
}

// Found once: who has moved down would look for it in the wrong place.
const Parent& parent() {
  static const Parent found = found_parent();
  return found;
}

}  // namespace

std::optional<GroupPlace> memory_group_place(const std::string& memberships, const std::string& mounts) {
  const bool own = membership(memberships, false).has_value();
  return place_in(memberships, mounts, !own);
}

MemoryGroup::MemoryGroup(double gib) {
  if (!parent().place) return;
  std::string why;
  place_ = new_group(*parent().place, why);
  if (place_ && !limit(*place_, gib).empty()) {
    ::rmdir(place_->folder.c_str());
    place_.reset();
  }
}

MemoryGroup::~MemoryGroup() {
  if (!place_) return;
  // Who has died leaves the group a little later; who is being started is in it a little later.
  for (int tries = 0; tries < 500; ++tries) {
    end_processes();
    if (::rmdir(place_->folder.c_str()) == 0 || errno == ENOENT) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void MemoryGroup::take(pid_t process) {
  if (place_) put_into(place_->folder / "cgroup.procs", std::to_string(process));
}

bool MemoryGroup::ended_one() const {
  if (!place_) return false;
  std::istringstream in(text_of(place_->folder / (place_->unified ? "memory.events" : "memory.oom_control")));
  std::string name;
  for (std::int64_t count = 0; in >> name >> count;) {
    if (name == "oom_kill") return count > 0;
  }
  return false;
}

void MemoryGroup::end_processes() const {
  std::istringstream in(text_of(place_->folder / "cgroup.procs"));
  for (pid_t process = 0; in >> process;) ::kill(process, SIGKILL);
}

std::string why_no_memory_group() { return parent().why; }

}  // namespace holdfast
