#include "run/passed_output.h"

#include <holdfast/log.h>

#include <cstdio>

namespace holdfast {
namespace {

constexpr int kTurns = 16;  // of reading what one worker prints, before the others have theirs
constexpr std::size_t kMostPrinted = 1 << 20;

}  // namespace

void PassedOutput::pass_on(WorkerProcess& process) {
  for (int turn = 0; turn < kTurns && process.output() >= 0; ++turn) {
    const std::string text = process.printed();
    if (text.empty()) return;
    if (printed_ > kMostPrinted) continue;
    std::fwrite(text.data(), 1, text.size(), stderr);
    printed_ += text.size();
    if (printed_ > kMostPrinted) log_warning("a stage printed more than 1 MiB: what else it prints is left out");
  }
}

}  // namespace holdfast
