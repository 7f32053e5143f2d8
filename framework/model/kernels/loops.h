// The loops behind kernels.h, for vectors of kLanes floats: included by one file a kind of processor, which names the sizes and
// is compiled for it. Everything is in an unnamed namespace and nothing of the standard library is used: code for another
// processor must not take the place of the program's own.
#include "model/kernels/kernels.h"

namespace holdfast {
namespace {

using Floats = float __attribute__((vector_size(kLanes * 4), aligned(4)));
using Integers = std::int32_t __attribute__((vector_size(kLanes * 4), aligned(4)));
using Halves = std::uint16_t __attribute__((vector_size(kLanes * 2), aligned(2)));

#define HOLDFAST_INLINE __attribute__((always_inline)) inline

HOLDFAST_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
HOLDFAST_INLINE Floats load(const float* from) { return *reinterpret_cast<const Floats*>(from); }
HOLDFAST_INLINE void store(float* to, const Floats& values) { *reinterpret_cast<Floats*>(to) = values; }
HOLDFAST_INLINE Floats all(float value) { return value - Floats{}; }

HOLDFAST_INLINE Floats load(const std::uint16_t* from) {
  const Halves halves = *reinterpret_cast<const Halves*>(from);
  using Whole = std::uint32_t __attribute__((vector_size(kLanes * 4), aligned(4)));
  const Whole whole = __builtin_convertvector(halves, Whole) << 16;
  return __builtin_bit_cast(Floats, whole);
}

constexpr std::int64_t kLine = 64;  // bytes that memory gives at a time
constexpr std::int64_t kSoon = 8;   // inputs by which weights are fetched into the nearest cache before they are read

// Where a block of rows fetches what is read after its panel: a line from `from` on with each input, half as often, or never.
struct Ahead {
  const char* from;
  enum : int { kEach = 0, kHalf = 1, kNever = 63 } often;
};

// Where a product finds its inputs: rows that lie apart, or strips of kRows rows, each input's together.
struct RowsOf {
  const float* x;
  std::int64_t stride;

  HOLDFAST_INLINE float at(std::int64_t row, std::int64_t k) const { return x[row * stride + k]; }
  HOLDFAST_INLINE RowsOf from(std::int64_t row) const { return {x + row * stride, stride}; }
};
struct StripsOf {
  const float* x;
  std::int64_t inner;

  HOLDFAST_INLINE float at(std::int64_t row, std::int64_t k) const { return x[k * kRows + row]; }
  HOLDFAST_INLINE StripsOf from(std::int64_t row) const { return {x + row * inner, inner}; }  // the first of a strip
};

// Rows of x times some vectors of a panel's columns.
template <int rows, int vectors, typename Inputs, typename Weight>
HOLDFAST_INLINE void multiply_block(const Inputs& x, const Weight* panel, std::int64_t inner, const Ahead& ahead,
                                    Floats (&sums)[rows][vectors]) {
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) sums[r][v] = Floats{};
  }
  constexpr int kVectorsOfLine = kLanes * sizeof(Weight) < kLine ? kLine / (kLanes * sizeof(Weight)) : 1;
  for (std::int64_t k = 0; k < inner; ++k) {
    __builtin_prefetch(ahead.from + (k >> ahead.often) * kLine, 0, 2);
    for (int v = 0; v < vectors; v += kVectorsOfLine) __builtin_prefetch(panel + (k + kSoon) * kPanel + v * kLanes, 0, 3);
    Floats weights[vectors];
    for (int v = 0; v < vectors; ++v) weights[v] = load(panel + k * kPanel + v * kLanes);
    for (int r = 0; r < rows; ++r) {
      const Floats value = all(x.at(r, k));
      for (int v = 0; v < vectors; ++v) sums[r][v] += value * weights[v];
    }
  }
}

HOLDFAST_INLINE void put(float* to, const Floats& values, std::int64_t columns, bool add) {
  if (columns >= kLanes) return store(to, add ? load(to) + values : values);
  for (std::int64_t i = 0; i < columns; ++i) to[i] = add ? to[i] + values[i] : values[i];
}

// What is made: columns of some rows of y.
struct Made {
  float* y;
  std::int64_t stride, columns;
  bool add;

  HOLDFAST_INLINE Made row(std::int64_t r) const { return {y + r * stride, stride, columns, add}; }
};

// To `columns` of y: those of the vectors, or fewer.
template <int rows, int vectors, typename Inputs, typename Weight>
HOLDFAST_INLINE void multiply_columns(const Inputs& x, const Weight* panel, std::int64_t inner, const Made& made,
                                      const Ahead& ahead) {
  Floats sums[rows][vectors];
  multiply_block<rows, vectors>(x, panel, inner, ahead, sums);
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors && v * kLanes < made.columns; ++v) {
      put(made.y + r * made.stride + v * kLanes, sums[r][v], made.columns - v * kLanes, made.add);
    }
  }
}

template <int rows, typename Inputs, typename Weight>
void multiply_rows(const Inputs& x, const Weight* panel, std::int64_t inner, const Made& made, const Ahead& ahead) {
  constexpr std::int64_t width = kVectors * kLanes;
  for (std::int64_t first = 0; first < made.columns; first += width) {
    const Made part = {made.y + first, made.stride, made.columns - first, made.add};
    if (part.columns <= kLanes) {  // a low rank's
      multiply_columns<rows, 1>(x, panel + first, inner, part, ahead);
    } else {
      multiply_columns<rows, kVectors>(x, panel + first, inner, part, ahead);
    }
  }
}

template <int rows, typename Inputs, typename Weight>
HOLDFAST_INLINE void multiply_last(const Inputs& x, std::int64_t left, const Weight* panel, std::int64_t inner,
                                   const Made& made, const Ahead& ahead) {
  if constexpr (rows > 0) {
    if (left == rows) return multiply_rows<rows>(x, panel, inner, made, ahead);
    multiply_last<rows - 1>(x, left, panel, inner, made, ahead);
  }
}

template <typename Inputs, typename Weight>
void multiply_panel(const Inputs& x, std::int64_t rows, const Weight* panel, std::int64_t inner, const Made& made,
                    const void* next) {
  // The blocks of rows fetch a share of the next panel each, half a share where there are many: memory delivers best without
  // pause.
  const std::int64_t lines = kPanel * static_cast<std::int64_t>(sizeof(Weight)) / kLine;  // of an input
  const auto often = rows / kRows >= 2 * lines ? Ahead::kHalf : Ahead::kEach;
  const auto* const end = static_cast<const char*>(next) + inner * lines * kLine;
  const char* ahead = static_cast<const char*>(next);
  const auto place = [&] {
    return next != nullptr && ahead < end ? Ahead{ahead, often} : Ahead{reinterpret_cast<const char*>(panel), Ahead::kNever};
  };
  std::int64_t r = 0;
  for (; r + kRows <= rows; r += kRows, ahead += (inner >> often) * kLine) {
    multiply_rows<kRows>(x.from(r), panel, inner, made.row(r), place());
  }
  multiply_last<kRows - 1>(x.from(r), rows - r, panel, inner, made.row(r), place());
}

void multiply(const float* x, std::int64_t x_stride, std::int64_t rows, const void* panel, bool narrow, std::int64_t inner,
              float* y, std::int64_t y_stride, std::int64_t columns, bool add, const void* next) {
  const RowsOf inputs{x, x_stride};
  const Made made{y, y_stride, columns, add};
  if (narrow) {
    multiply_panel(inputs, rows, static_cast<const std::uint16_t*>(panel), inner, made, next);
  } else {
    multiply_panel(inputs, rows, static_cast<const float*>(panel), inner, made, next);
  }
}

void multiply_strips(const float* strips, std::int64_t rows, const float* panel, std::int64_t inner, float* y,
                     std::int64_t y_stride, std::int64_t columns, bool add) {
  multiply_panel(StripsOf{strips, inner}, rows, panel, inner, Made{y, y_stride, columns, add}, nullptr);
}

void pack_strips(const float* w, std::int64_t stride, std::int64_t rows, std::int64_t inner, float* strips) {
  static_assert(kRows <= kStripRoom);
  const std::int64_t whole = rows - rows % kRows;
  for (std::int64_t k = 0; k < inner; ++k) {
    const float* const from = w + k * stride;
    for (std::int64_t r = 0; r < whole; r += kRows) {
      float* const to = strips + r * inner + k * kRows;
      for (int i = 0; i < kRows; ++i) to[i] = from[r + i];
    }
    if (whole == rows) continue;
    float* const to = strips + whole * inner + k * kRows;
    for (int i = 0; i < kRows; ++i) to[i] = whole + i < rows ? from[whole + i] : 0;
  }
}

// A square of kLanes vectors, turned: in each round pairs of rows `far` apart exchange halves of blocks of twice that size.
template <int far>
HOLDFAST_INLINE void exchange(Floats (&square)[kLanes]) {
  Integers low, high;
  for (int i = 0; i < kLanes; ++i) {
    low[i] = (i & far) == 0 ? i : i - far + kLanes;
    high[i] = (i & far) == 0 ? i + far : i + kLanes;
  }
  for (int i = 0; i < kLanes; ++i) {
    if ((i & far) != 0) continue;
    const Floats a = square[i], b = square[i + far];
    square[i] = __builtin_shuffle(a, b, low);
    square[i + far] = __builtin_shuffle(a, b, high);
  }
  if constexpr (far > 1) exchange<far / 2>(square);
}

void pack_rows(const float* w, std::int64_t stride, std::int64_t columns, std::int64_t inner, float* panel) {
  for (std::int64_t first = 0; first < kPanel; first += kLanes) {
    const std::int64_t whole = columns >= first + kLanes ? inner - inner % kLanes : 0;
    for (std::int64_t k = 0; k < whole; k += kLanes) {
      Floats square[kLanes];
      for (int i = 0; i < kLanes; ++i) square[i] = load(w + (first + i) * stride + k);
      exchange<kLanes / 2>(square);
      for (int i = 0; i < kLanes; ++i) store(panel + (k + i) * kPanel + first, square[i]);
    }
    for (std::int64_t k = whole; k < inner; ++k) {
      for (std::int64_t c = first; c < first + kLanes; ++c) panel[k * kPanel + c] = c < columns ? w[c * stride + k] : 0;
    }
  }
}

void pack_columns(const float* w, std::int64_t stride, std::int64_t columns, std::int64_t inner, float* panel) {
  for (std::int64_t k = 0; k < inner; ++k) {
    if (columns == kPanel) {
      for (std::int64_t c = 0; c < kPanel; c += kLanes) store(panel + k * kPanel + c, load(w + k * stride + c));
      continue;
    }
    for (std::int64_t c = 0; c < kPanel; ++c) panel[k * kPanel + c] = c < columns ? w[k * stride + c] : 0;
  }
}

HOLDFAST_INLINE float sum_of(const Floats& values) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += values[i];
  return sum;
}

// e to the power of x for x at most 0, to about 1e-7 of the value: 2^n times a polynomial of what is left (Cephes'
// coefficients).
HOLDFAST_INLINE Floats exp_of(Floats x) {
  const Floats least = all(-87.0F);
  x = x < least ? least : x;
  const Floats shift = all(12582912.0F);  // 1.5 * 2^23: adding it rounds to whole numbers
  const Floats n = (x * all(1.44269504F) + shift) - shift;
  const Floats r = (x - n * all(0.693359375F)) - n * all(-2.12194440e-4F);
  Floats p = all(1.9875691500e-4F);
  p = p * r + all(1.3981999507e-3F);
  p = p * r + all(8.3334519073e-3F);
  p = p * r + all(4.1665795894e-2F);
  p = p * r + all(1.6666665459e-1F);
  p = p * r + all(5.0000001201e-1F);
  p = p * r * r + r + all(1.0F);
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * __builtin_bit_cast(Floats, power);
}

// cap * tanh(s / cap)
HOLDFAST_INLINE Floats capped(const Floats& s, float cap) {
  const Floats size = s < 0 ? -s : s;
  const Floats e = exp_of(size * all(-2 / cap));
  const Floats made = all(cap) * (all(1.0F) - e) / (all(1.0F) + e);
  return s < 0 ? -made : made;
}

void widen(const std::uint16_t* from, std::int64_t count, float* to) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
  for (; i < count; ++i) to[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(from[i]) << 16);
}

// The sums over the lanes of kLanes vectors, in one: in each round two vectors become one that holds half-sums of both.
template <int far>
HOLDFAST_INLINE Floats sums_of(const Floats* vectors) {
  if constexpr (far == 0) {
    return vectors[0];
  } else {
    const Floats a = sums_of<far / 2>(vectors), b = sums_of<far / 2>(vectors + far);
    Integers low, high;
    for (int i = 0; i < kLanes; ++i) {
      low[i] = (i & far) == 0 ? i : i - far + kLanes;
      high[i] = (i & far) == 0 ? i + far : i + kLanes;
    }
    return __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
  }
}

// Scores of one query with the keys from `first` on, in groups of kLanes.
HOLDFAST_INLINE void score(const AttentionRows& a, const float* query, std::int64_t first, std::int64_t keys, float* scores) {
  const std::int64_t whole = a.width - a.width % kLanes;
  for (std::int64_t t = 0; t < keys; t += kLanes) {
    const float* rows[kLanes];
    Floats parts[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      rows[i] = a.keys + (first + smaller(t + i, keys - 1)) * a.key_stride;
      parts[i] = Floats{};
    }
    for (std::int64_t d = 0; d < whole; d += kLanes) {
      const Floats part = load(query + d);
      for (int i = 0; i < kLanes; ++i) parts[i] += part * load(rows[i] + d);
    }
    Floats sums = sums_of<kLanes / 2>(parts);
    for (std::int64_t d = whole; d < a.width; ++d) {
      for (int i = 0; i < kLanes; ++i) sums[i] += query[d] * rows[i][d];
    }
    store(scores + t, sums * all(a.scale));
  }
}

// The softmax of one row of scores, in place, but for the division by the sum, which is returned. Behind the last key there is
// room up to a whole vector.
HOLDFAST_INLINE float shares(float* scores, std::int64_t keys, float cap) {
  const std::int64_t room = (keys + kLanes - 1) / kLanes * kLanes;
  for (std::int64_t t = keys; t < room; ++t) scores[t] = -__builtin_inff();
  if (cap > 0) {
    for (std::int64_t t = 0; t < room; t += kLanes) store(scores + t, capped(load(scores + t), cap));
    for (std::int64_t t = keys; t < room; ++t) scores[t] = -__builtin_inff();
  }
  Floats most = load(scores);
  for (std::int64_t t = kLanes; t < room; t += kLanes) most = load(scores + t) > most ? load(scores + t) : most;
  float highest = most[0];
  for (int i = 1; i < kLanes; ++i) highest = most[i] > highest ? most[i] : highest;
  Floats sum = {};
  for (std::int64_t t = 0; t < room; t += kLanes) {
    const Floats e = exp_of(load(scores + t) - all(highest));
    store(scores + t, e);
    if (t + kLanes <= keys) sum += e;
  }
  float total = sum_of(sum);
  for (std::int64_t t = keys - keys % kLanes; t < keys; ++t) total += scores[t];
  return total;
}

// Values weighted by shares (rows, keys), of some vectors of the width.
template <int rows, int vectors>
HOLDFAST_INLINE void mix_part(const AttentionRows& a, const float* values, std::int64_t keys, std::int64_t stride,
                              const float* totals, float* made) {
  Floats sums[rows][vectors];
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) sums[r][v] = Floats{};
  }
  for (std::int64_t t = 0; t < keys; ++t) {
    for (int v = 0; v < vectors; ++v) {
      const Floats value = load(values + t * a.value_stride + v * kLanes);
      for (int r = 0; r < rows; ++r) sums[r][v] += all(a.scores[r * stride + t]) * value;
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) store(made + r * a.width + v * kLanes, sums[r][v] / all(totals[r]));
  }
}

template <int rows>
HOLDFAST_INLINE void mix(const AttentionRows& a, std::int64_t first, std::int64_t keys, std::int64_t stride,
                         const float* totals, float* made) {
  const float* values = a.values + first * a.value_stride;
  std::int64_t d = 0;
  for (; d + kMixed * kLanes <= a.width; d += kMixed * kLanes) {
    mix_part<rows, kMixed>(a, values + d, keys, stride, totals, made + d);
  }
  for (; d + kLanes <= a.width; d += kLanes) mix_part<rows, 1>(a, values + d, keys, stride, totals, made + d);
  for (; d < a.width; ++d) {
    for (int r = 0; r < rows; ++r) {
      float sum = 0;
      for (std::int64_t t = 0; t < keys; ++t) sum += a.scores[r * stride + t] * values[t * a.value_stride + d];
      made[r * a.width + d] = sum / totals[r];
    }
  }
}

template <int rows>
void attend_heads(const AttentionRows& a, std::int64_t token, std::int64_t head) {
  const std::int64_t last = a.start + token;
  const std::int64_t first = a.window > 0 && last + 1 > a.window ? last + 1 - a.window : 0;
  const std::int64_t keys = last + 1 - first, stride = (keys + kLanes - 1) / kLanes * kLanes;
  float totals[rows];
  for (int r = 0; r < rows; ++r) {
    float* scores = a.scores + r * stride;
    score(a, a.queries + token * a.query_stride + (head + r) * a.width, first, keys, scores);
    totals[r] = shares(scores, keys, a.cap);
  }
  mix<rows>(a, first, keys, stride, totals, a.made + token * a.made_stride + head * a.width);
}

void attend(const AttentionRows& a) {
  for (std::int64_t token = 0; token < a.tokens; ++token) {
    std::int64_t head = 0;
    for (; head + 4 <= a.group; head += 4) attend_heads<4>(a, token, head);
    if (a.group - head == 3) attend_heads<3>(a, token, head);
    if (a.group - head == 2) attend_heads<2>(a, token, head);
    if (a.group - head == 1) attend_heads<1>(a, token, head);
  }
}

}  // namespace
}  // namespace holdfast
