#include "fakes/standin/memory.h"

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace standin {
namespace {

thread_local c10::DeviceIndex working_on = 0;

// Bytes that are held on each device.
class Ledger {
 public:
  void add(c10::DeviceIndex device, std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    auto& stat = stats_[static_cast<std::size_t>(device)];
    stat.current += bytes;
    stat.peak = std::max(stat.peak, stat.current);
  }
  void reset_peak(c10::DeviceIndex device) {
    const std::lock_guard lock(mutex_);
    auto& stat = stats_[static_cast<std::size_t>(device)];
    stat.peak = stat.current;
  }
  c10::CachingAllocator::Stat of(c10::DeviceIndex device) {
    const std::lock_guard lock(mutex_);
    return stats_[static_cast<std::size_t>(device)];
  }

 private:
  std::mutex mutex_;
  std::array<c10::CachingAllocator::Stat, kDevices> stats_;
};

Ledger& ledger() {
  static auto* const made = new Ledger;  // tensors may outlive all statics
  return *made;
}

// Address and bytes of one storage.
struct Block {
  Block(c10::Storage bytes, c10::DeviceIndex on) : host(std::move(bytes)), device(on) {
    size = host.nbytes();
    reserved = std::max<std::size_t>(size, 1);
    address = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TORCH_CHECK(address != MAP_FAILED, "the stand-in accelerator has no address left");
    ledger().add(device, static_cast<std::int64_t>(size));
  }
  ~Block() {
    ::munmap(address, reserved);
    ledger().add(device, -static_cast<std::int64_t>(size));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  c10::Storage host;
  c10::DeviceIndex device;
  std::size_t size = 0, reserved = 0;
  void* address = nullptr;
};

void delete_block(void* block) { delete static_cast<Block*>(block); }

c10::DataPtr pointer_to(c10::Storage host, c10::DeviceIndex device) {
  auto* const block = new Block(std::move(host), device);
  return {block->address, block, &delete_block, c10::Device(c10::kPrivateUse1, device)};
}

c10::Storage fresh_host(std::size_t bytes) {
  return {c10::Storage::use_byte_size_t(), static_cast<std::int64_t>(bytes), c10::GetCPUAllocator(), /*resizable=*/true};
}

class Allocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override { return pointer_to(fresh_host(bytes), working_on); }
  void copy_data(void* to, const void* from, std::size_t) const override {
    TORCH_CHECK(to == from, "the stand-in accelerator copies tensors, not addresses");
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)] = ledger().of(device);
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex device) override { ledger().reset_peak(device); }
};

}  // namespace

c10::Storage device_storage(c10::Storage host, c10::DeviceIndex device) {
  const auto bytes = static_cast<std::int64_t>(host.nbytes());
  return {c10::Storage::use_byte_size_t(), bytes, pointer_to(std::move(host), device), &allocator(), /*resizable=*/true};
}

const c10::Storage& host_storage(const c10::Storage& storage) {
  const auto* const block = storage.data_ptr().cast_context<Block>(&delete_block);
  TORCH_CHECK(block != nullptr, "a storage of the stand-in accelerator holds memory that is not its own");
  return block->host;
}

void follow_size(const c10::Storage& storage) {
  const c10::Storage host = host_storage(storage);
  if (host.nbytes() == storage.nbytes()) return;
  storage.set_data_ptr(pointer_to(host, storage.device().index()));
  storage.set_nbytes(host.nbytes());
}

at::Tensor host_alias(const at::Tensor& device) {
  at::Tensor host = at::detail::make_tensor<at::TensorImpl>(c10::Storage(host_storage(device.storage())),
                                                            c10::DispatchKeySet(c10::DispatchKey::CPU), device.dtype());
  host.unsafeGetTensorImpl()->set_sizes_and_strides(device.sizes(), device.strides(), device.storage_offset());
  if (device.unsafeGetTensorImpl()->is_wrapped_number()) host.unsafeGetTensorImpl()->set_wrapped_number(true);
  return host;
}

at::Tensor device_tensor(const at::Tensor& host, const c10::Storage& storage) {
  at::Tensor device = at::detail::make_tensor<at::TensorImpl>(c10::Storage(storage),
                                                              c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), host.dtype());
  device.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
  return device;
}

c10::DeviceAllocator& allocator() {
  static auto* const made = new Allocator;
  return *made;
}

c10::DeviceIndex current_device() { return working_on; }
c10::DeviceIndex exchange_device(c10::DeviceIndex device) {
  TORCH_CHECK(device >= 0 && device < kDevices, "there is no device standin:", static_cast<int>(device));
  return std::exchange(working_on, device);
}

}  // namespace standin
