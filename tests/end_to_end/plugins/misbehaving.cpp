// Drops nothing, and does to its process, or to the machine, what a scenario says.
#include <arpa/inet.h>
#include <holdfast/defense.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

class Misbehaving final : public holdfast::ScreenStage {
 public:
  explicit Misbehaving(holdfast::Params& params)
      : how_(params.choice("how", "throw",
                           {"throw", "throw-number", "crash", "exit", "hang", "hang-on", "fork", "print", "eat-memory",
                            "eat-together", "eat-shared", "write", "dial"},
                           "what happens")),
        port_(params.integer("port", 0, "of this machine, that it dials")) {
    if (params.flag("when_made", false, "it happens in the constructor, else in screen()")) misbehave();
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context&) override {
    misbehave();
    return data;
  }

 private:
  void misbehave() const {
    if (how_ == "throw") throw std::runtime_error("thrown on purpose");
    if (how_ == "throw-number") throw 42;
    if (how_ == "crash") std::raise(SIGSEGV);
    if (how_ == "exit") std::_Exit(3);
    if (how_ == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
    if (how_ == "hang-on") hang_on();
    if (how_ == "fork") fork_children();
    if (how_ == "print") print_a_gigabyte();
    if (how_ == "eat-memory") eat_memory();
    if (how_ == "eat-together") eat_together();
    if (how_ == "eat-shared") eat_shared();
    if (how_ == "write") write_files();
    if (how_ == "dial") dial();
  }

  static void hang_on() {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) std::signal(signal, SIG_IGN);
    std::this_thread::sleep_for(std::chrono::hours(1));
  }

  // Each in a session of its own, with a parent that is gone.
  static void fork_children() {
    for (int i = 0; i < 20; ++i) {
      if (::fork() != 0) continue;
      ::setsid();
      if (::fork() == 0) ::sleep(3600);
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    throw std::runtime_error("left children behind");
  }

  static void print_a_gigabyte() {
    const std::string line(1023, 'x');
    for (int i = 0; i < (1 << 20); ++i) std::puts(line.c_str());
    std::fflush(stdout);
    throw std::runtime_error("printed a gigabyte");
  }

  static void eat_memory() {
    std::vector<std::vector<char>> eaten;
    while (true) eaten.emplace_back(64 << 20, 'x');
  }

  // Four children with 768 MiB each, which wait for each other.
  static void eat_together() {
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const std::vector<char> eaten(768 << 20, 'x');
        ::sleep(2);
        ::_exit(eaten.back() == 'x' ? 0 : 1);
      }
      children.push_back(child);
    }
    int ended = 0;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ++ended;
    }
    throw std::runtime_error(ended > 0 ? "children were ended" : "children had 3 GiB together");
  }

  // 3 GiB that are no process's own.
  static void eat_shared() {
    constexpr std::size_t bytes = 3UL << 30;
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) std::memset(memory, 'x', bytes);
    throw std::runtime_error("had 3 GiB of shared memory");
  }

  static void write_files() {
    const std::string file = std::string(std::getenv("TMPDIR")) + "/much";
    std::FILE* out = std::fopen(file.c_str(), "w");
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 4096; ++i) {
      if (std::fwrite(block.data(), 1, block.size(), out) != block.size() || std::fflush(out) != 0) {
        throw std::runtime_error("could not write more than " + std::to_string(i) + " MiB: " + std::strerror(errno));
      }
    }
    throw std::runtime_error("wrote 4 GiB");
  }

  void dial() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool reached = ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    throw std::runtime_error(reached ? "reached the network" : "no network");
  }

  std::string how_;
  std::int64_t port_;
};

}  // namespace

HOLDFAST_DEFENSE(Misbehaving, "misbehaving", 1, "Throws, crashes, exits, hangs, or takes what it can get of the machine.")
