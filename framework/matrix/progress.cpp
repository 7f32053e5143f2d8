#include "matrix/progress.h"

#include <holdfast/log.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace holdfast {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kTerminalPause{250};
constexpr milliseconds kLogPause{15000};

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(std::llround(seconds));
  if (whole < 90) return std::to_string(whole) + " s";
  if (whole < 5400) return std::to_string((whole + 30) / 60) + " min";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

std::string to_string(const ProgressState& state) {
  std::string text = std::to_string(state.done) + "/" + std::to_string(state.total) + " stages";
  if (state.failed > 0) text += ", " + std::to_string(state.failed) + " failed";
  std::string running;
  for (const auto& [kind, count] : state.running) {
    running += (running.empty() ? "" : ", ") + std::string(to_string(kind)) + (count > 1 ? " x" + std::to_string(count) : "");
  }
  if (!running.empty()) text += " | running: " + running;
  return text + " | about " + duration_text(state.seconds_left) + " left";
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1), last_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (open_) std::fputs("\r\033[K", stderr);
}

bool Progress::due() const { return std::chrono::steady_clock::now() - last_ >= (terminal_ ? kTerminalPause : kLogPause); }

void Progress::show(const ProgressState& state) {
  last_ = std::chrono::steady_clock::now();
  if (!terminal_) return log_info(to_string(state));
  open_ = true;
  std::fprintf(stderr, "\r\033[K%s", to_string(state).c_str());
  std::fflush(stderr);
}

}  // namespace holdfast
