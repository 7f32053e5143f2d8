#include "base/work_progress.h"

#include <mutex>

namespace holdfast {
namespace {

std::mutex mutex;
std::function<void(const WorkProgress&)> listening;

}  // namespace

void listen_to_progress(std::function<void(const WorkProgress&)> listener) {
  const std::lock_guard lock(mutex);
  listening = std::move(listener);
}

void tell_progress(const WorkProgress& progress) {
  const std::lock_guard lock(mutex);
  if (listening) listening(progress);
}

}  // namespace holdfast
