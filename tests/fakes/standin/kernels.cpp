// The operators of the stand-in accelerator: each is the CPU's, run on the same bytes, whatever it is. Tensors of several
// devices in one operator are refused, and what crosses the border is counted.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/native/transformers/sdp_utils_cpp.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <set>

#include "fakes/standin/counts.h"
#include "fakes/standin/memory.h"

namespace standin {
namespace {

using Stack = torch::jit::Stack;

struct Counters {
  std::atomic<std::uint64_t> to_device{0}, to_device_bytes{0}, to_host{0}, to_host_bytes{0}, reads{0}, between{0};
};
Counters counters;

bool is_ours(const at::Tensor& tensor) { return tensor.defined() && tensor.device().is_privateuseone(); }

// On CUDA the host waits for these, whose results are as long as the values say.
bool sized_by_values(const std::string& name) {
  static const std::set<std::string> names = {"aten::nonzero",    "aten::masked_select",      "aten::_unique2",
                                              "aten::unique_dim", "aten::unique_consecutive", "aten::repeat_interleave"};
  return names.contains(name);
}

// The arguments of one call on their way to the CPU, and its results on their way back.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : op_(op) {}

  void run(Stack* stack) {
    const auto& schema = op_.schema();
    const std::size_t first = stack->size() - schema.arguments().size();
    for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
      const auto* alias = schema.arguments()[i].alias_info();
      written_ = alias != nullptr && alias->isWrite();
      (*stack)[first + i] = to_host((*stack)[first + i]);
    }
    if (!device_) device_ = c10::Device(c10::kPrivateUse1, current_device());  // made from nothing
    if (sized_by_values(schema.name())) ++counters.reads;
    {
      const at::AutoDispatchBelowADInplaceOrView below;
      op_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
    }
    for (const auto& [device, host] : changed_) follow(device, host);
    for (std::size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i) (*stack)[i] = to_device((*stack)[i]);
  }

 private:
  struct Pair {
    at::Tensor device, host;
  };

  c10::IValue to_host(const c10::IValue& value) {
    if (value.isTensor()) return host_of(value.toTensor(), true);
    if (value.isTensorList()) {
      c10::List<at::Tensor> hosts;
      for (const at::Tensor& tensor : value.toTensorVector()) hosts.push_back(host_of(tensor, false));
      return hosts;
    }
    if (value.isOptionalTensorList()) {  // indices
      c10::List<std::optional<at::Tensor>> hosts;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        const bool given = tensor && tensor->defined();
        if (given && (tensor->scalar_type() == at::kBool || tensor->scalar_type() == at::kByte)) ++counters.reads;
        hosts.push_back(given ? std::optional(host_of(*tensor, false)) : tensor);
      }
      return hosts;
    }
    if (value.isDevice() && value.toDevice().is_privateuseone()) {
      const auto asked = value.toDevice();
      device_ = c10::Device(c10::kPrivateUse1, asked.has_index() ? asked.index() : current_device());
      return c10::Device(c10::kCPU);
    }
    return value;
  }

  // A number of the host is taken along, as by CUDA's kernels.
  at::Tensor host_of(const at::Tensor& tensor, bool numbers) {
    if (!tensor.defined()) return tensor;
    if (!is_ours(tensor)) {
      TORCH_CHECK(numbers && tensor.dim() == 0, op_.schema().name(), " found tensors on several devices, standin and ",
                  tensor.device());
      return tensor;
    }
    TORCH_CHECK(!device_ || *device_ == tensor.device(), op_.schema().name(), " found tensors on several devices, ",
                device_.value_or(tensor.device()), " and ", tensor.device());
    device_ = tensor.device();
    pairs_.push_back({tensor, host_alias(tensor)});
    if (written_) changed_.push_back(pairs_.back());
    return pairs_.back().host;
  }

  // What a kernel may do to a tensor that it writes to beside its values: give it another size.
  static void follow(const at::Tensor& device, const at::Tensor& host) {
    if (!host.storage().is_alias_of(host_storage(device.storage()))) {
      device.unsafeGetTensorImpl()->set_storage_keep_dtype(device_storage(host.storage(), device.device().index()));
    }
    follow_size(device.storage());
    device.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
  }

  c10::IValue to_device(const c10::IValue& value) {
    if (value.isTensor()) return device_of(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> devices;
      for (const at::Tensor& tensor : value.toTensorVector()) devices.push_back(device_of(tensor));
      return devices;
    }
    ++counters.reads;
    return value;
  }

  at::Tensor device_of(const at::Tensor& host) {
    if (!host.defined()) return host;
    for (const auto& pair : pairs_) {
      if (pair.host.is_same(host)) return pair.device;
    }
    for (const auto& pair : pairs_) {
      if (pair.host.storage().is_alias_of(host.storage())) return device_tensor(host, pair.device.storage());
    }
    at::Tensor made = device_tensor(host, device_storage(host.storage(), device_->index()));
    pairs_.push_back({made, host});
    return made;
  }

  const c10::OperatorHandle& op_;
  std::optional<c10::Device> device_;
  std::vector<Pair> pairs_, changed_;
  bool written_ = false;
};

void on_the_cpu(const c10::OperatorHandle& op, Stack* stack) { Call(op).run(stack); }

void count_copy(const at::Tensor& from, const at::Tensor& to) {
  if (from.numel() == 0) return;
  if (!is_ours(from)) {
    ++counters.to_device;
    counters.to_device_bytes += from.nbytes();
  } else if (!is_ours(to)) {
    ++counters.to_host;
    counters.to_host_bytes += from.nbytes();
  } else if (from.device() != to.device()) {
    ++counters.between;
  }
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  count_copy(from, to);
  at::Tensor host = is_ours(to) ? host_alias(to) : to;
  host.copy_(is_ours(from) ? host_alias(from) : from);
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, false);
}

at::Tensor& set_storage(at::Tensor& tensor, c10::Storage storage, std::int64_t offset, at::IntArrayRef sizes,
                        at::IntArrayRef strides) {
  auto* const impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(storage));
  if (strides.size() == sizes.size()) {
    impl->set_sizes_and_strides(sizes, strides, offset);
  } else {
    impl->set_sizes_contiguous(sizes);
    impl->set_storage_offset(offset);
  }
  return tensor;
}

// The attention that the CPU would take: its fused kernel, or plain products.
std::int64_t choose_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const std::optional<at::Tensor>& mask, double dropout, bool causal, std::optional<double> scale,
                              bool grouped) {
  const auto host = [](const at::Tensor& tensor) {
    return host_alias(tensor).set_requires_grad(tensor.requires_grad() && at::GradMode::is_enabled());
  };
  const auto host_mask = mask && mask->defined() ? std::optional(host(*mask)) : mask;
  return at::_fused_sdp_choice(host(q), host(k), host(v), host_mask, dropout, causal, scale, grouped);
}

// For runs of the whole program: one line of counts a process.
void append_report() {
  const char* const file = std::getenv("STANDIN_REPORT");
  if (file == nullptr) return;
  std::ofstream(file, std::ios::app) << "{\"to_device\":" << counters.to_device << ",\"to_host\":" << counters.to_host
                                     << ",\"reads\":" << counters.reads << ",\"between\":" << counters.between << "}\n";
}

const int reported = std::atexit(append_report);

}  // namespace
}  // namespace standin

namespace at::native {
REGISTER_PRIVATEUSE1_DISPATCH(_fused_sdp_choice_stub, &standin::choose_attention)
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&standin::on_the_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("_copy_from", &standin::copy_from);
  library.impl("_copy_from_and_resize", &standin::copy_from_and_resize);
  library.impl("set_.source_Storage_storage_offset", &standin::set_storage);
}

extern "C" void standin_counts(StandinCounts* counts) {
  const auto& c = standin::counters;
  *counts = {c.to_device, c.to_device_bytes, c.to_host, c.to_host_bytes, c.reads, c.between};
}
