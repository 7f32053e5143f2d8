#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

// The failure of the smallest number.
class Failure {
 public:
  void note(std::size_t number, std::exception_ptr thrown) {
    const std::lock_guard guard(lock_);
    if (thrown_ && number_ < number) return;
    number_ = number;
    thrown_ = std::move(thrown);
  }
  void rethrow_if_any() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  std::mutex lock_;
  std::size_t number_ = 0;
  std::exception_ptr thrown_;
};

}  // namespace

void for_each_number(std::size_t count, const std::function<void(std::size_t)>& body, int threads) {
  if (threads <= 0) threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 16);
  std::atomic<std::size_t> next{0};
  Failure failure;
  {
    std::vector<std::jthread> pool;
    for (int i = 0; i < threads; ++i) {
      pool.emplace_back([&] {
        for (std::size_t n = next++; n < count; n = next++) {
          try {
            body(n);
          } catch (...) {
            failure.note(n, std::current_exception());
          }
        }
      });
    }
  }
  failure.rethrow_if_any();
}

}  // namespace holdfast
