#include "model/fused/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>

#include "model/fused/lanes.h"
#include "model/fused/once.h"
#include "model/fused/small_product.h"
#include "model/fused/softmax_rows.h"

namespace holdfast::fused {
namespace {

constexpr std::int64_t kQueries = 60;  // rows of scores at a time: whole blocks of small_product.cpp

// What one part of the packed rows attends to: `prefix` rows from the beginning, then its own.
struct Part {
  std::int64_t first, rows, prefix;
  std::int64_t keys() const { return prefix + rows; }
};

struct Shape {
  std::int64_t heads, groups, width, window;  // groups: key-value heads
  float scale, cap;
  std::int64_t each() const { return heads / groups; }
};

std::vector<Part> parts_of(const Sequences& sequences) {
  std::vector<Part> parts;
  std::int64_t first = sequences.prefix;
  if (first > 0) parts.push_back({0, first, 0});
  for (const auto length : sequences.lengths) {
    parts.push_back({first, length, sequences.prefix});
    first += length;
  }
  return parts;
}

using Values = std::unique_ptr<float[]>;
Values values(std::int64_t count) { return std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(count)); }

std::int64_t whole_lanes(std::int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// The keys or values (keys, D) of one head of a part, one row after the other.
Values rows_of(const Part& part, const Shape& shape, const float* x, std::int64_t group) {
  Values made = values(part.keys() * shape.width);
  const std::int64_t to_row = shape.groups * shape.width;
  for (std::int64_t i = 0; i < part.keys(); ++i) {
    const std::int64_t row = i < part.prefix ? i : part.first + i - part.prefix;
    std::copy_n(x + row * to_row + group * shape.width, shape.width, made.get() + i * shape.width);
  }
  return made;
}

// (keys, D) to (D, keys), rows filled up with zeros to whole lanes.
Values turned(const Values& rows, std::int64_t keys, std::int64_t width) {
  const std::int64_t to_row = whole_lanes(keys);
  Values made = values(width * to_row);
  for (std::int64_t d = 0; d < width; ++d) {
    for (std::int64_t i = 0; i < keys; ++i) made[d * to_row + i] = rows[i * width + d];
    std::fill(made.get() + d * to_row + keys, made.get() + (d + 1) * to_row, 0.0F);
  }
  return made;
}

// Calls each(head, first row, rows) for all blocks of queries of a part that read one key-value head.
template <typename Each>
void by_blocks(const Part& part, const Shape& shape, std::int64_t group, const Each& each) {
  for (std::int64_t head = group * shape.each(); head < (group + 1) * shape.each(); ++head) {
    for (std::int64_t row = 0; row < part.rows; row += kQueries) each(head, row, std::min(kQueries, part.rows - row));
  }
}

ScoreBlock block_of(const Part& part, const Shape& shape, std::int64_t row, std::int64_t rows) {
  const std::int64_t position = part.prefix + row;
  return {rows, position, shape.window, whole_lanes(position + rows), shape.scale, shape.cap};
}

// All parts and key-value heads, in whatever order threads come for them: each writes what no other does.
template <typename Each>
void in_parallel(const std::vector<Part>& parts, std::int64_t groups, const Each& each) {
  const auto tasks = static_cast<std::int64_t>(parts.size()) * groups;
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, std::min<std::int64_t>(tasks, at::get_num_threads()), 1, [&](std::int64_t, std::int64_t) {
    for (std::int64_t task; (task = next++) < tasks;) each(static_cast<std::size_t>(task / groups), task % groups);
  });
}

struct Inputs {
  const float *q, *k, *v;
};

void attend_part(const Inputs& in, const Part& part, const Shape& shape, std::int64_t group, float* out, float* logs) {
  const std::int64_t keys = part.keys(), to_row = shape.heads * shape.width;
  const Values across = turned(rows_of(part, shape, in.k, group), keys, shape.width), v = rows_of(part, shape, in.v, group);
  const Values scores = values(std::min(kQueries, part.rows) * whole_lanes(keys));
  by_blocks(part, shape, group, [&](std::int64_t head, std::int64_t row, std::int64_t rows) {
    const ScoreBlock block = block_of(part, shape, row, rows);
    const std::int64_t query = part.first + row, at = query * to_row + head * shape.width;
    multiply(rows, block.columns, shape.width, {in.q + at, to_row, 1}, across.get(), whole_lanes(keys), scores.get(),
             block.columns, false);
    share(block, scores.get(), logs + query * shape.heads + head, shape.heads);
    multiply(rows, shape.width, block.first + rows, {scores.get(), block.columns, 1}, v.get(), shape.width, out + at, to_row,
             false);
  });
}

struct Slopes {
  const float *out, *logs, *at_out;
  float* at_q;
};

// Adds to at_k and at_v, (keys, D).
void attend_part_back(const Inputs& in, const Slopes& slopes, const Part& part, const Shape& shape, std::int64_t group,
                      float* at_k, float* at_v) {
  const std::int64_t keys = part.keys(), width = shape.width, to_row = shape.heads * width, columns = whole_lanes(keys);
  const Values k = rows_of(part, shape, in.k, group), k_across = turned(k, keys, width),
               v_across = turned(rows_of(part, shape, in.v, group), keys, width);
  const std::int64_t most = std::min(kQueries, part.rows);
  const Values shares = values(most * columns), steep = values(most * columns), along = values(most),
               bends = values(shape.cap > 0 ? most * columns : 0);
  by_blocks(part, shape, group, [&](std::int64_t head, std::int64_t row, std::int64_t rows) {
    const ScoreBlock block = block_of(part, shape, row, rows);
    const std::int64_t query = part.first + row, at = query * to_row + head * width, seen = block.first + rows;
    const float *q = in.q + at, *at_out = slopes.at_out + at;
    multiply(rows, block.columns, width, {q, to_row, 1}, k_across.get(), columns, shares.get(), block.columns, false);
    share_again(block, shares.get(), slopes.logs + query * shape.heads + head, shape.heads, bends.get());
    multiply(seen, width, rows, {shares.get(), 1, block.columns}, at_out, to_row, at_v, width, true);
    multiply(rows, block.columns, width, {at_out, to_row, 1}, v_across.get(), columns, steep.get(), block.columns, false);
    for (std::int64_t r = 0; r < rows; ++r) {
      along[r] = std::inner_product(at_out + r * to_row, at_out + r * to_row + width, slopes.out + at + r * to_row, 0.0F);
    }
    slopes_at_scores(block, shares.get(), along.get(), bends.get(), steep.get());
    multiply(rows, width, seen, {steep.get(), block.columns, 1}, k.get(), width, slopes.at_q + at, to_row, false);
    multiply(seen, width, rows, {steep.get(), 1, block.columns}, q, to_row, at_k, width, true);
  });
}

// Slopes at the keys or values of one head of a part to where they belong: its own rows, and its share of the prefix's.
void put_rows(const Part& part, const Shape& shape, std::int64_t group, const float* from, float* own, float* prefix) {
  const std::int64_t to_row = shape.groups * shape.width;
  for (std::int64_t i = 0; i < part.keys(); ++i) {
    float* to = i < part.prefix ? prefix + i * to_row : own + (part.first + i - part.prefix) * to_row;
    std::copy_n(from + i * shape.width, shape.width, to + group * shape.width);
  }
}

Shape shape_of(const at::Tensor& q, const at::Tensor& k, std::int64_t window, double scale, double cap) {
  return {q.size(1), k.size(1), q.size(2), window, static_cast<float>(scale), static_cast<float>(cap)};
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given_q, const at::Tensor& given_k,
                            const at::Tensor& given_v, const Sequences& sequences, double scale, double cap) {
    const at::Tensor q = given_q.contiguous(), k = given_k.contiguous(), v = given_v.contiguous();
    const Shape shape = shape_of(q, k, sequences.window, scale, cap);
    at::Tensor out = at::empty({q.size(0), q.size(1) * q.size(2)}, q.options());
    at::Tensor logs = at::empty({q.size(0), q.size(1)}, q.options());
    const Inputs in{q.const_data_ptr<float>(), k.const_data_ptr<float>(), v.const_data_ptr<float>()};
    const std::vector<Part> parts = parts_of(sequences);
    in_parallel(parts, shape.groups, [&, to = out.data_ptr<float>(), sums = logs.data_ptr<float>()](auto part, auto group) {
      attend_part(in, parts[part], shape, group, to, sums);
    });
    context->save_for_backward({q, k, v, out, logs});
    context->saved_data["prefix"] = sequences.prefix;
    context->saved_data["lengths"] = sequences.lengths;
    context->saved_data["window"] = sequences.window;
    context->saved_data["scale"] = scale;
    context->saved_data["cap"] = cap;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], slope = slopes[0].contiguous();
    const Sequences sequences{context->saved_data["prefix"].toInt(), context->saved_data["lengths"].toIntVector(),
                              context->saved_data["window"].toInt()};
    const Shape shape =
        shape_of(q, k, sequences.window, context->saved_data["scale"].toDouble(), context->saved_data["cap"].toDouble());
    const std::vector<Part> parts = parts_of(sequences);
    at::Tensor to_q = at::empty_like(q), to_k = at::empty_like(k), to_v = at::empty_like(v);
    // Each sequence's slopes at the prefix, (parts, prefix, G, D).
    at::Tensor prefix_k =
        at::empty({static_cast<std::int64_t>(parts.size()), sequences.prefix, k.size(1), k.size(2)}, k.options());
    at::Tensor prefix_v = at::empty_like(prefix_k);
    const Inputs in{q.const_data_ptr<float>(), k.const_data_ptr<float>(), v.const_data_ptr<float>()};
    const Slopes given{saved[3].const_data_ptr<float>(), saved[4].const_data_ptr<float>(), slope.const_data_ptr<float>(),
                       to_q.data_ptr<float>()};
    const std::int64_t of_prefix = sequences.prefix * k.size(1) * k.size(2);
    float *own_k = to_k.data_ptr<float>(), *own_v = to_v.data_ptr<float>(), *shared_k = prefix_k.data_ptr<float>(),
          *shared_v = prefix_v.data_ptr<float>();
    in_parallel(parts, shape.groups, [&](std::size_t number, std::int64_t group) {
      const Part& part = parts[number];
      const std::int64_t count = part.keys() * shape.width, at = static_cast<std::int64_t>(number) * of_prefix;
      const Values at_k = std::make_unique<float[]>(static_cast<std::size_t>(count)),
                   at_v = std::make_unique<float[]>(static_cast<std::size_t>(count));
      attend_part_back(in, given, part, shape, group, at_k.get(), at_v.get());
      put_rows(part, shape, group, at_k.get(), own_k, shared_k + at);
      put_rows(part, shape, group, at_v.get(), own_v, shared_v + at);
    });
    if (sequences.prefix > 0) {
      // The first part is the prefix itself, which left nothing there.
      to_k.narrow(0, 0, sequences.prefix).add_(prefix_k.narrow(0, 1, prefix_k.size(0) - 1).sum(0));
      to_v.narrow(0, 0, sequences.prefix).add_(prefix_v.narrow(0, 1, prefix_v.size(0) - 1).sum(0));
    }
    return {to_q, to_k, to_v, {}, {}, {}};
  }
};

}  // namespace

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Sequences& sequences, double scale,
                  double cap) {
  return Attention::apply(q, k, v, sequences, scale, cap);
}

}  // namespace holdfast::fused
