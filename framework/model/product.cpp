#include "model/product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "model/kernels/usable.h"

namespace holdfast {
namespace {

// Fewer multiplications than this are done before other threads have begun.
constexpr std::int64_t kWorthThreads = 1 << 18;
// So many rows pay for widening a panel first.
constexpr std::int64_t kWorthWidening = 5;
// Panels and rows that are in the cache together.
constexpr std::int64_t kGroup = 4, kRowsTogether = 64;
// A thread's share of rows is a multiple of what the kernels take at once.
constexpr std::int64_t kRowsAtOnce = 8;

// A group of panels' parts, in this thread's own memory.
float* scratch() {
  thread_local std::vector<float> memory(kGroup * kPanel * kInnerBlock);
  return memory.data();
}

// A panel's part as the kernel reads it, and what will be read after it.
struct Part {
  const void* weights;
  bool narrow = false;
  const void* next = nullptr;
};

// Who does what: groups of panels for some of the rows, which go to whichever thread is free. Rows are shared out only where
// there are fewer groups than threads.
struct Shares {
  std::int64_t group, groups, rows, row_shares;

  Shares(std::int64_t panels, std::int64_t all_rows, std::int64_t threads)
      : group(std::clamp<std::int64_t>(panels / (4 * threads), 1, kGroup)), groups((panels + group - 1) / group) {
    const std::int64_t wanted = std::max<std::int64_t>(1, threads / groups);
    rows = ((all_rows + wanted - 1) / wanted + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce;
    row_shares = rows == 0 ? 0 : (all_rows + rows - 1) / rows;
  }
};

// y (rows, ...) = x (rows, inner) times panels, or += that, whose columns go to places in y's rows; part(panel, k, inner,
// memory) gives the weights of the inputs from k on.
template <typename PartOf>
void multiply_panels(const at::Tensor& x, at::Tensor& y, bool add, const std::vector<Panel>& panels, const PartOf& part) {
  const std::int64_t rows = x.size(0), inner = x.size(1), x_stride = x.stride(0), y_stride = y.stride(0);
  const auto count = static_cast<std::int64_t>(panels.size());
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.mutable_data_ptr<float>();
  const std::int64_t threads = rows * inner * y.size(1) < kWorthThreads ? 1 : at::get_num_threads();
  const Shares shares(count, rows, threads);
  const auto multiply = [&](std::int64_t first, std::int64_t last, std::int64_t first_row, std::int64_t last_row) {
    for (std::int64_t k = 0; k < inner; k += kInnerBlock) {
      const std::int64_t some = std::min(kInnerBlock, inner - k);
      std::array<Part, kGroup> parts;
      for (auto p = first; p < last; ++p) parts[p - first] = part(p, k, some, scratch() + (p - first) * kPanel * kInnerBlock);
      for (std::int64_t row = first_row; row < last_row; row += kRowsTogether) {
        for (auto p = first; p < last; ++p) {
          const Part& now = parts[p - first];
          const Panel& panel = panels[p];
          kernels().multiply(from + row * x_stride + k, x_stride, std::min(kRowsTogether, last_row - row), now.weights,
                             now.narrow, some, to + row * y_stride + panel.place, y_stride, panel.columns, add || k > 0,
                             row == first_row ? now.next : nullptr);
        }
      }
    }
  };
  std::atomic<std::int64_t> next = 0;
  const auto work = [&](std::int64_t, std::int64_t) {
    for (auto share = next++; share < shares.groups * shares.row_shares; share = next++) {
      const std::int64_t first = share / shares.row_shares * shares.group, row = share % shares.row_shares * shares.rows;
      multiply(first, std::min(count, first + shares.group), row, std::min(rows, row + shares.rows));
    }
  };
  if (threads == 1) return work(0, 1);
  at::parallel_for(0, threads, 1, work);
}

void add_panels(std::int64_t place, std::int64_t columns, std::vector<Panel>& panels) {
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    panels.push_back({place + first, std::min(kPanel, columns - first)});
  }
}

at::Tensor with_whole_rows(const at::Tensor& x) { return x.stride(1) == 1 || x.size(1) == 1 ? x : x.contiguous(); }

// y = x (rows, inner) times a weight that is (columns, inner), or, turned, (inner, columns); or += that.
void multiply(const at::Tensor& given, const at::Tensor& weight, bool turned, bool add, at::Tensor& y) {
  const at::Tensor x = with_whole_rows(given);
  const std::int64_t stride = weight.size(1);
  const float* const weights = weight.const_data_ptr<float>();
  std::vector<Panel> panels;
  add_panels(0, weight.size(turned ? 1 : 0), panels);
  multiply_panels(x, y, add, panels, [&](std::int64_t p, std::int64_t k, std::int64_t inner, float* memory) {
    const auto [first, some] = panels[p];
    if (turned) {
      kernels().pack_columns(weights + k * stride + first, stride, some, inner, memory);
    } else {
      kernels().pack_rows(weights + first * stride + k, stride, some, inner, memory);
    }
    return Part{memory};
  });
}

at::Tensor multiplied(const at::Tensor& x, const at::Tensor& weight, bool turned) {
  at::Tensor y = at::empty({x.size(0), weight.size(turned ? 1 : 0)}, x.options());
  multiply(x, weight, turned, false, y);
  return y;
}

// The rows' gradient is a product with the same weight, turned, whose rows' bits depend on nothing else; where the weight's own
// gradient mixes all rows anyway, both are libtorch's, which packs nothing.
struct RowProduct : torch::autograd::Function<RowProduct> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            bool turned) {
    context->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    context->saved_data["turned"] = turned;
    return multiplied(x, weight, turned);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &slope = slopes[0];
    const bool turned = context->saved_data["turned"].toBool();
    const bool to_x = context->needs_input_grad(0), to_weight = context->needs_input_grad(1);
    torch::autograd::variable_list made(3);
    if (to_weight) made[1] = turned ? at::mm(x.t(), slope) : at::mm(slope.t(), x);
    if (!to_x) return made;
    made[0] = to_weight ? at::mm(slope, turned ? weight.t() : weight) : RowProduct::apply(slope, weight, !turned);
    return made;
  }
};

// Whether the lower halves of all floats are zero.
bool is_narrow(const at::Tensor& weight) {
  const float* const values = weight.const_data_ptr<float>();
  std::atomic<bool> narrow = true;
  at::parallel_for(0, weight.numel(), 1 << 16, [&](std::int64_t first, std::int64_t last) {
    std::uint32_t lower = 0;
    for (std::int64_t begin = first; begin < last && narrow.load(std::memory_order_relaxed); begin += 4096) {
      for (std::int64_t i = begin; i < std::min(begin + 4096, last); ++i)
        lower |= std::bit_cast<std::uint32_t>(values[i]) & 0xffffU;
      if (lower != 0) narrow = false;
    }
  });
  return narrow;
}

void upper_halves(const float* from, std::int64_t count, std::uint16_t* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(from[i]) >> 16);
}

}  // namespace

bool has_row_product(const at::Tensor& x, const at::Tensor& weight) {
  const auto fits = [](const at::Tensor& tensor) {
    return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.dim() == 2;
  };
  return fits(x) && fits(weight) && weight.is_contiguous();
}

at::Tensor row_product(const at::Tensor& x, const at::Tensor& weight) {
  const bool graph = c10::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad());
  return graph ? RowProduct::apply(x, weight, false) : multiplied(x, weight, false);
}

at::Tensor turned_row_product(const at::Tensor& x, const at::Tensor& weight) { return multiplied(x, weight, true); }

void add_row_product(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight) { multiply(x, weight, false, true, y); }

void add_turned_row_product(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight) {
  multiply(x, weight, true, true, y);
}

PackedProduct::PackedProduct(const std::vector<at::Tensor>& weights) : in_(weights.front().size(1)) {
  std::vector<const float*> sources;
  for (const auto& weight : weights) {
    const float* const data = weight.const_data_ptr<float>();
    for (std::int64_t place = 0; place < weight.size(0); place += kPanel) sources.push_back(data + place * in_);
    add_panels(out_, weight.size(0), panels_);
    outs_.push_back(weight.size(0));
    out_ += weight.size(0);
    narrow_ = narrow_ && is_narrow(weight);
  }
  const auto panels = static_cast<std::int64_t>(panels_.size());
  packed_ = at::empty({panels, in_, kPanel}, narrow_ ? at::kBFloat16 : at::kFloat);
  at::parallel_for(0, panels, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      for (std::int64_t k = 0; k < in_; k += kInnerBlock) {
        const std::int64_t part = std::min(kInnerBlock, in_ - k), place = (p * in_ + k) * kPanel;
        const std::int64_t columns = panels_[static_cast<std::size_t>(p)].columns;
        const float* const from = sources[static_cast<std::size_t>(p)] + k;
        if (!narrow_) {
          kernels().pack_rows(from, in_, columns, part, packed_.mutable_data_ptr<float>() + place);
          continue;
        }
        kernels().pack_rows(from, in_, columns, part, scratch());
        upper_halves(scratch(), part * kPanel, static_cast<std::uint16_t*>(packed_.mutable_data_ptr()) + place);
      }
    }
  });
}

at::Tensor PackedProduct::operator()(const at::Tensor& given) const {
  const at::Tensor x = with_whole_rows(given);
  at::Tensor y = at::empty({x.size(0), out_}, x.options());
  const auto* const packed = static_cast<const char*>(packed_.const_data_ptr());
  const bool widened = narrow_ && x.size(0) >= kWorthWidening;
  const auto bytes = static_cast<std::int64_t>(packed_.element_size());
  multiply_panels(x, y, false, panels_, [&](std::int64_t p, std::int64_t k, std::int64_t inner, float* memory) {
    const char* const weights = packed + (p * in_ + k) * kPanel * bytes;
    const bool last = p + 1 == static_cast<std::int64_t>(panels_.size()) && k + inner == in_;
    if (!widened) return Part{weights, narrow_, last ? nullptr : weights + inner * kPanel * bytes};
    kernels().widen(reinterpret_cast<const std::uint16_t*>(weights), inner * kPanel, memory);
    return Part{memory};
  });
  return y;
}

}  // namespace holdfast
