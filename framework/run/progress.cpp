#include "run/progress.h"

#include <holdfast/log.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace holdfast {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kTerminalPause{250};
constexpr milliseconds kLogPause{15000};  // at first; a tenth of the time so far when that is more
constexpr milliseconds kLongestLogPause{300000};
constexpr std::size_t kMostWorks = 3;  // running stages whose work is shown

std::string rounded(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// One live line must not wrap: it could not be wiped.
std::string fitting(const std::string& text) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return text;
  return text.substr(0, size.ws_col - 1U);
}

std::string kind_text(StageKind kind, std::size_t count) {
  return std::string(to_string(kind)) + (count > 1 ? " x" + std::to_string(count) : "");
}

std::string running_text(const std::vector<RunningStage>& running) {
  std::vector<std::string> parts;
  std::map<StageKind, std::size_t> others;
  for (const auto& stage : running) {
    if (stage.work.empty() || parts.size() == kMostWorks) {
      others[stage.kind] += stage.count;
    } else {
      parts.push_back(kind_text(stage.kind, stage.count) + " " + stage.work);
    }
  }
  for (const auto& [kind, count] : others) {
    parts.push_back(kind_text(kind, count));
  }
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

}  // namespace

std::string work_text(const Json& progress) {
  if (progress.empty()) return "";
  std::string text = progress.at("unit").get<std::string>() + " " + std::to_string(progress.at("done").get<std::int64_t>()) +
                     " of " + std::to_string(progress.at("total").get<std::int64_t>());
  if (progress.contains("loss")) text += ", loss " + rounded(progress.at("loss").get<double>(), "%.3g");
  if (progress.contains("rate")) text += ", " + rounded(progress.at("rate").get<double>(), "%.0f") + " tokens/s";
  return text;
}

bool is_progress(const Json& progress) {
  if (!progress.is_object()) return false;
  if (progress.empty()) return true;
  const auto is = [&](const char* name, bool (Json::*type)() const) {
    return progress.contains(name) && (progress.at(name).*type)();
  };
  const auto is_or_none = [&](const char* name) { return !progress.contains(name) || is(name, &Json::is_number); };
  return is("unit", &Json::is_string) && is("done", &Json::is_number_integer) && is("total", &Json::is_number_integer) &&
         is_or_none("loss") && is_or_none("rate");
}

double part_done(const Json& progress) {
  if (progress.empty() || progress.at("total").get<std::int64_t>() <= 0) return 0;
  return progress.at("done").get<double>() / progress.at("total").get<double>();
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(std::llround(seconds));
  if (whole < 90) return std::to_string(whole) + " s";
  if (whole < 5400) return std::to_string((whole + 30) / 60) + " min";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

std::string to_string(const ProgressState& state) {
  std::string text = std::to_string(state.done) + "/" + std::to_string(state.total) + " stages";
  if (state.failed > 0) text += ", " + std::to_string(state.failed) + " failed";
  if (!state.running.empty()) text += " | running: " + running_text(state.running);
  return text + " | about " + duration_text(state.seconds_left) + " left";
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1), begun_(std::chrono::steady_clock::now()), last_(begun_) {}

Progress::~Progress() {
  if (open_) std::fputs("\r\033[K", stderr);
}

bool Progress::due() const {
  const auto now = std::chrono::steady_clock::now();
  const auto part = std::chrono::duration_cast<milliseconds>((now - begun_) / 10);
  return now - last_ >= (terminal_ ? kTerminalPause : std::clamp(part, kLogPause, kLongestLogPause));
}

void Progress::show(const ProgressState& state) {
  last_ = std::chrono::steady_clock::now();
  if (!terminal_) return log_info(to_string(state));
  open_ = true;
  std::fprintf(stderr, "\r\033[K%s", fitting(to_string(state)).c_str());
  std::fflush(stderr);
}

}  // namespace holdfast
