// Bytes that tensors on the CPU take, counted where they are allocated: what a test of memory can assert without a clock and
// without the operating system.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace holdfast::fakes {

/// While it lives, tensors are allocated through it. One at a time.
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : before_(c10::GetCPUAllocator()) {
    live_ = peak_ = 0;
    c10::SetCPUAllocator(this, 100);
  }
  ~CountingAllocator() override { c10::SetCPUAllocator(before_, 100); }

  c10::DataPtr allocate(std::size_t bytes) override {
    const std::int64_t live = live_ += static_cast<std::int64_t>(bytes);
    for (std::int64_t peak = peak_; live > peak && !peak_.compare_exchange_weak(peak, live);) {
    }
    void* data = c10::alloc_cpu(bytes);
    return {data, new Taken{data, bytes}, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

  /// The greatest number of bytes that were taken since it began, of those allocated since.
  static std::int64_t peak() { return peak_; }

 private:
  struct Taken {
    void* data;
    std::size_t bytes;
  };
  static void give_back(void* context) {
    auto* taken = static_cast<Taken*>(context);
    live_ -= static_cast<std::int64_t>(taken->bytes);
    c10::free_cpu(taken->data);
    delete taken;
  }

  inline static std::atomic<std::int64_t> live_{0}, peak_{0};
  c10::Allocator* before_;
};

}  // namespace holdfast::fakes
