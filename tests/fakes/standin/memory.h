// Memory of the stand-in accelerator. A tensor's address lies in pages that nobody can read or write; the bytes lie elsewhere,
// and only the kernels of this library know where, as a storage of the CPU.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/CachingDeviceAllocator.h>

namespace standin {

constexpr c10::DeviceIndex kDevices = 2;

/// A storage of the device whose bytes are those of `host`, a storage of the CPU. Nothing is copied.
c10::Storage device_storage(c10::Storage host, c10::DeviceIndex device);

/// The bytes behind a storage of the device.
const c10::Storage& host_storage(const c10::Storage& storage);

/// To be called when a kernel made the bytes behind a storage more or fewer: gives it an address of that size.
void follow_size(const c10::Storage& storage);

/// Of whole tensors: device and host side share sizes, strides and bytes.
at::Tensor host_alias(const at::Tensor& device);
at::Tensor device_tensor(const at::Tensor& host, const c10::Storage& storage);

/// Hands out memory of the current device and knows what is held on each.
c10::DeviceAllocator& allocator();

/// The device that a thread works on, as with CUDA.
c10::DeviceIndex current_device();
c10::DeviceIndex exchange_device(c10::DeviceIndex device);

}  // namespace standin
