#include "model/product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "model/huge_pages.h"
#include "model/kernels/usable.h"

namespace holdfast {
namespace {

// Fewer multiplications than this are done before other threads have begun.
constexpr std::int64_t kProductWorthThreads = 1 << 18;
// So many rows pay for widening a panel first.
constexpr std::int64_t kWorthWidening = 5;
// Panels and rows that are in the cache together.
constexpr std::int64_t kGroup = 4, kRowsTogether = 64;
// A thread's share of rows is a multiple of what the kernels take at once.
constexpr std::int64_t kRowsAtOnce = 8;

// A group of panels' parts, and strips of a block of rows, in this thread's own memory.
float* panel_memory() {
  thread_local std::vector<float> memory(kGroup * kPanel * kInnerBlock);
  return memory.data();
}
float* strip_memory() {
  thread_local std::vector<float> memory((kRowsTogether + kStripRoom) * kInnerBlock);
  return memory.data();
}

// A panel's part as the kernel reads it, and what will be read after it.
struct Part {
  const void* weights;
  bool narrow = false;
  const void* next = nullptr;
};

// Where a block of a product's rows begins in y.
struct Place {
  float* to;
  std::int64_t stride, columns;
  bool add;
};

// What is multiplied with panels: `count` rows of `inner` inputs each. block() gives some of them from k on, for panels one
// after the other: multiply(part, place, whether it is the first block of rows).
struct Inputs {
  const float* from;
  std::int64_t stride, count, inner;
};

// The rows of x (rows, inner).
struct RowInputs : Inputs {
  explicit RowInputs(const at::Tensor& x) : Inputs{x.const_data_ptr<float>(), x.stride(0), x.size(0), x.size(1)} {}

  auto block(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t some) const {
    return [x = from + row * stride + k, apart = stride, rows, some](const Part& part, const Place& place, bool first) {
      kernels().multiply(x, apart, rows, part.weights, part.narrow, some, place.to, place.stride, place.columns, place.add,
                         first ? part.next : nullptr);
    };
  }
};

// The columns of x (inner, rows), packed into strips.
struct ColumnInputs : Inputs {
  explicit ColumnInputs(const at::Tensor& x) : Inputs{x.const_data_ptr<float>(), x.stride(0), x.size(1), x.size(0)} {}

  auto block(std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t some) const {
    kernels().pack_strips(from + k * stride + row, stride, rows, some, strip_memory());
    return [rows, some](const Part& part, const Place& place, bool) {
      kernels().multiply_strips(strip_memory(), rows, static_cast<const float*>(part.weights), some, place.to, place.stride,
                                place.columns, place.add);
    };
  }
};

std::int64_t rounded_up(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

// Who does what: groups of panels for some of the rows, which go to whichever thread is free.
struct Shares {
  std::int64_t group, groups, rows, row_shares;

  // Where panels are read from memory: rows are shared out only where there are fewer groups than threads.
  static Shares of_panels(std::int64_t panels, std::int64_t all_rows, std::int64_t threads) {
    const std::int64_t group = std::clamp<std::int64_t>(panels / (4 * threads), 1, kGroup);
    return Shares(panels, group, all_rows, threads, 1, kRowsAtOnce);
  }
  // Where blocks of rows are packed for each group of panels: groups as large as they may be, and several shares a thread.
  static Shares of_blocks(std::int64_t panels, std::int64_t all_rows, std::int64_t threads) {
    return Shares(panels, kGroup, all_rows, threads, threads == 1 ? 1 : 4, kRowsTogether);
  }

 private:
  Shares(std::int64_t panels, std::int64_t of_group, std::int64_t all_rows, std::int64_t threads, std::int64_t each,
         std::int64_t unit)
      : group(of_group), groups((panels + group - 1) / group) {
    const std::int64_t wanted = std::max<std::int64_t>(1, each * threads / groups);
    rows = rounded_up((all_rows + wanted - 1) / wanted, unit);
    row_shares = rows == 0 ? 0 : (all_rows + rows - 1) / rows;
  }
};

// y (rows, ...) = inputs (rows, inner) times panels, or += that, whose columns go to places in y's rows; part(panel, k, inner,
// memory) gives the weights of the inputs from k on.
template <typename InputsOf, typename PartOf>
void multiply_panels(const InputsOf& inputs, at::Tensor& y, bool add, const std::vector<Panel>& panels,
                     Shares (*shares_of)(std::int64_t, std::int64_t, std::int64_t), const PartOf& part) {
  const std::int64_t rows = inputs.count, inner = inputs.inner, y_stride = y.stride(0);
  const auto count = static_cast<std::int64_t>(panels.size());
  float* const to = y.mutable_data_ptr<float>();
  const std::int64_t threads = rows * inner * y.size(1) < kProductWorthThreads ? 1 : at::get_num_threads();
  const Shares shares = shares_of(count, rows, threads);
  const auto multiply = [&](std::int64_t first, std::int64_t last, std::int64_t first_row, std::int64_t last_row) {
    for (std::int64_t k = 0; k < inner; k += kInnerBlock) {
      const std::int64_t some = std::min(kInnerBlock, inner - k);
      std::array<Part, kGroup> parts;
      for (auto p = first; p < last; ++p)
        parts[p - first] = part(p, k, some, panel_memory() + (p - first) * kPanel * kInnerBlock);
      for (std::int64_t row = first_row; row < last_row; row += kRowsTogether) {
        const auto block = inputs.block(row, std::min(kRowsTogether, last_row - row), k, some);
        for (auto p = first; p < last; ++p) {
          const Place place{to + row * y_stride + panels[p].place, y_stride, panels[p].columns, add || k > 0};
          block(parts[p - first], place, row == first_row);
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
  multiply_panels(RowInputs(x), y, add, panels, Shares::of_panels,
                  [&](std::int64_t p, std::int64_t k, std::int64_t inner, float* memory) {
                    const auto [first, some] = panels[p];
                    if (turned) {
                      kernels().pack_columns(weights + k * stride + first, stride, some, inner, memory);
                    } else {
                      kernels().pack_rows(weights + first * stride + k, stride, some, inner, memory);
                    }
                    return Part{memory};
                  });
}

// y = a (inner, rows), turned, times b (inner, columns); or += that. Both have whole rows.
void multiply_over_rows(const at::Tensor& a, const at::Tensor& b, bool add, at::Tensor& y) {
  const std::int64_t stride = b.stride(0);
  const float* const weights = b.const_data_ptr<float>();
  std::vector<Panel> panels;
  add_panels(0, b.size(1), panels);
  multiply_panels(ColumnInputs(a), y, add, panels, Shares::of_blocks,
                  [&](std::int64_t p, std::int64_t k, std::int64_t inner, float* memory) {
                    kernels().pack_columns(weights + k * stride + panels[p].place, stride, panels[p].columns, inner, memory);
                    return Part{memory};
                  });
}

at::Tensor multiplied(const at::Tensor& x, const at::Tensor& weight, bool turned) {
  at::Tensor y = at::empty({x.size(0), weight.size(turned ? 1 : 0)}, x.options());
  multiply(x, weight, turned, false, y);
  return y;
}

at::Tensor over_rows(const at::Tensor& given_a, const at::Tensor& given_b) {
  const at::Tensor a = with_whole_rows(given_a), b = with_whole_rows(given_b);
  // Panels hold the columns of the second: of a low rank they would be nearly empty.
  if (b.size(1) < kPanel && a.size(1) > b.size(1)) return over_rows(b, a).t().contiguous();
  if (a.size(0) == 0) return at::zeros({a.size(1), b.size(1)}, a.options());
  at::Tensor y = at::empty({a.size(1), b.size(1)}, a.options());
  multiply_over_rows(a, b, false, y);
  return y;
}

using Context = torch::autograd::AutogradContext;
using Tensors = torch::autograd::variable_list;

// Each's gradients are products of these two kinds again. The rows' gradient is a product with the same weight, turned, whose
// rows' bits depend on nothing else.
struct RowProduct : torch::autograd::Function<RowProduct> {
  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& weight, bool turned) {
    context->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    context->saved_data["turned"] = turned;
    return multiplied(x, weight, turned);
  }
  static Tensors backward(Context* context, const Tensors& slopes);
};

struct ProductOverRows : torch::autograd::Function<ProductOverRows> {
  static at::Tensor forward(Context* context, const at::Tensor& a, const at::Tensor& b) {
    context->save_for_backward({a, b});
    return over_rows(a, b);
  }
  static Tensors backward(Context* context, const Tensors& slopes) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &a = saved[0], &b = saved[1], slope = slopes[0].contiguous();
    return {context->needs_input_grad(0) ? RowProduct::apply(b, slope, false) : at::Tensor(),
            context->needs_input_grad(1) ? RowProduct::apply(a, slope, true) : at::Tensor()};
  }
};

Tensors RowProduct::backward(Context* context, const Tensors& slopes) {
  const auto saved = context->get_saved_variables();
  const at::Tensor &x = saved[0], &weight = saved[1], &slope = slopes[0];
  const bool turned = context->saved_data["turned"].toBool();
  Tensors made(3);
  if (context->needs_input_grad(0)) made[0] = RowProduct::apply(slope, weight, !turned);
  if (context->needs_input_grad(1)) made[1] = turned ? ProductOverRows::apply(x, slope) : ProductOverRows::apply(slope, x);
  return made;
}

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

at::Tensor product_over_rows(const at::Tensor& a, const at::Tensor& b) { return over_rows(a, b); }

void add_product_over_rows(at::Tensor& y, const at::Tensor& a, const at::Tensor& b) {
  multiply_over_rows(with_whole_rows(a), with_whole_rows(b), true, y);
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
  prefer_huge_pages(packed_);
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
        kernels().pack_rows(from, in_, columns, part, panel_memory());
        upper_halves(panel_memory(), part * kPanel, static_cast<std::uint16_t*>(packed_.mutable_data_ptr()) + place);
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
  multiply_panels(RowInputs(x), y, false, panels_, Shares::of_panels,
                  [&](std::int64_t p, std::int64_t k, std::int64_t inner, float* memory) {
                    const char* const weights = packed + (p * in_ + k) * kPanel * bytes;
                    const bool last = p + 1 == static_cast<std::int64_t>(panels_.size()) && k + inner == in_;
                    if (!widened) return Part{weights, narrow_, last ? nullptr : weights + inner * kPanel * bytes};
                    kernels().widen(reinterpret_cast<const std::uint16_t*>(weights), inner * kPanel, memory);
                    return Part{memory};
                  });
  return y;
}

}  // namespace holdfast
