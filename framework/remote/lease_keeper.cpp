#include "remote/lease_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "queue/queue.h"

namespace holdfast {
namespace {

constexpr double kBetweenBeats = 2;                 // seconds, or a sixth of those after which a worker counts as lost
constexpr std::int64_t kOfAnother = 1'000'000'000;  // no number that the worker itself shows

}  // namespace

LeaseKeeper::LeaseKeeper(const StoreClient& client, std::string lease, double lost_after)
    : client_(client.another()), lease_(std::move(lease)), lost_after_(lost_after), thread_([this] { keep(); }) {}

LeaseKeeper::~LeaseKeeper() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool LeaseKeeper::ends_within(double seconds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return over_; });
}

void LeaseKeeper::keep() {
  Beat beat{kOfAnother, lost_after_};
  while (!ends_within(std::min(kBetweenBeats, lost_after_ / 6))) {
    ++beat.number;
    try {
      client_->ask("beat", {{"lease", lease_}, {"beat", to_json(beat)}}, StoreClient::kBriefly);
    } catch (const std::exception&) {  // whatever the worker itself asks next tells what is wrong
    }
  }
}

}  // namespace holdfast
