// Beats of a lease from a thread of its own, while its worker is busy with something that shows none: moving much, or reading
// it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "remote/client.h"

namespace holdfast {

class LeaseKeeper {
 public:
  /// Until it goes. `lost_after`: the seconds after which a worker without a beat is lost.
  LeaseKeeper(const StoreClient& client, std::string lease, double lost_after);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

 private:
  void keep();
  bool ends_within(double seconds);

  const std::unique_ptr<StoreClient> client_;  // the worker's own is busy
  const std::string lease_;
  const double lost_after_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace holdfast
