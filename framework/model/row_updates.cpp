#include "model/row_updates.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "model/flops.h"
#include "model/kernels/usable.h"

namespace holdfast {
namespace {

// Fewer multiplications than this are done before other threads have begun.
constexpr std::int64_t kUpdatesWorthThreads = 1 << 17;
// Rows that one thread takes at once.
constexpr std::int64_t kPieceRows = 32;

// Some of an update's rows.
struct Piece {
  const RowUpdate* update;
  std::int64_t first, count;
};

std::int64_t rows_of(const RowUpdate& update, std::int64_t all) {
  return update.rows == nullptr ? all : static_cast<std::int64_t>(update.rows->size());
}

// Enough pieces for all threads, as far as there are rows.
std::vector<Piece> pieces_of(const std::vector<RowUpdate>& updates, std::int64_t all) {
  const std::int64_t threads = at::get_num_threads();
  const std::int64_t size = std::clamp<std::int64_t>((all + threads - 1) / threads, 1, kPieceRows);
  std::vector<Piece> pieces;
  for (const auto& update : updates) {
    const std::int64_t rows = rows_of(update, all);
    for (std::int64_t first = 0; first < rows; first += size) pieces.push_back({&update, first, std::min(size, rows - first)});
  }
  return pieces;
}

// This thread's own memory, by what it is for.
float* update_memory(std::size_t which, std::int64_t floats) {
  thread_local std::vector<float> memory[4];
  if (static_cast<std::int64_t>(memory[which].size()) < floats) memory[which].resize(static_cast<std::size_t>(floats));
  return memory[which].data();
}

// made (rows, columns) = x (rows, inner) times the weight's rows (columns, inner).
void multiply(const float* x, std::int64_t rows, std::int64_t inner, const float* weight, std::int64_t columns, float* made) {
  float* const panel = update_memory(0, kPanel * kInnerBlock);
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    const std::int64_t some = std::min(kPanel, columns - first);
    for (std::int64_t k = 0; k < inner; k += kInnerBlock) {
      const std::int64_t part = std::min(kInnerBlock, inner - k);
      kernels().pack_rows(weight + first * inner + k, inner, some, part, panel);
      kernels().multiply(x + k, inner, rows, panel, false, part, made + first, columns, some, k > 0, nullptr);
    }
  }
}

void add(const Piece& piece, const at::Tensor& x, at::Tensor& y) {
  const LoraFactors& lora = *piece.update->factors;
  const at::Tensor a = lora.a.contiguous(), b = lora.b.contiguous();
  const auto row = [&](std::int64_t i) {
    const std::int64_t place = piece.first + i;
    return piece.update->rows == nullptr ? place : (*piece.update->rows)[static_cast<std::size_t>(place)];
  };
  const std::int64_t in = x.size(1), out = y.size(1), rank = a.size(0), count = piece.count;
  float* const taken = update_memory(1, count * in);
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(taken + i * in, x.const_data_ptr<float>() + row(i) * x.stride(0), static_cast<std::size_t>(in) * sizeof(float));
  }
  float* const inner = update_memory(2, count * rank);
  multiply(taken, count, in, a.const_data_ptr<float>(), rank, inner);
  const auto scale = static_cast<float>(lora.scale);
  for (std::int64_t i = 0; i < count * rank; ++i) inner[i] *= scale;
  float* const made = update_memory(3, count * out);
  multiply(inner, count, rank, b.const_data_ptr<float>(), out, made);
  for (std::int64_t i = 0; i < count; ++i) {
    float* const to = y.mutable_data_ptr<float>() + row(i) * y.stride(0);
    for (std::int64_t o = 0; o < out; ++o) to[o] += made[i * out + o];
  }
}

}  // namespace

bool has_row_updates(const at::Tensor& y, const at::Tensor& x) {
  const auto fits = [](const at::Tensor& tensor) {
    return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.stride(1) == 1;
  };
  return !c10::GradMode::is_enabled() && fits(y) && fits(x);
}

void add_updates(at::Tensor& y, const at::Tensor& x, const std::vector<RowUpdate>& updates) {
  const std::vector<Piece> pieces = pieces_of(updates, x.size(0));
  const auto count = static_cast<std::int64_t>(pieces.size());
  std::atomic<std::int64_t> next = 0;
  const auto work = [&](std::int64_t, std::int64_t) {
    for (auto piece = next++; piece < count; piece = next++) add(pieces[static_cast<std::size_t>(piece)], x, y);
  };
  for (const auto& [factors, rows] : updates) {
    count_flops(y, 2 * rows_of({factors, rows}, x.size(0)) * factors->a.size(0) * (x.size(1) + y.size(1)), 0);
  }
  const bool worth = x.size(0) * updates.front().factors->a.size(0) * (x.size(1) + y.size(1)) >= kUpdatesWorthThreads;
  const std::int64_t threads = worth ? std::min<std::int64_t>(count, at::get_num_threads()) : 1;
  if (threads == 1) return work(0, 1);
  at::parallel_for(0, threads, 1, work);
}

}  // namespace holdfast
