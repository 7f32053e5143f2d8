// The inner loops of decoders on the CPU, in float32, for the vector units of the processor that runs. No tensors here, no
// threads: model/product.h and model/row_attention.h call them.
//
// What they make of a row is the same bits whichever and however many other rows are there: every sum is taken in one fixed
// order. So a reply does not depend on what else is in its batch.
#pragma once

#include <cstdint>

namespace holdfast {

/// Columns of a panel: some outputs of a product, whose weights lie together, (inner, kPanel).
inline constexpr std::int64_t kPanel = 48;
/// At most so many rows make a strip.
inline constexpr std::int64_t kStripRoom = 8;
/// A product over more than this many inputs is the sum of products over so many, so that a panel's part stays in the cache.
inline constexpr std::int64_t kInnerBlock = 1024;

/// Queries of one sequence and one key-value head, over the keys that they see. Strides are in floats.
struct AttentionRows {
  const float* queries;  // (tokens, group, width)
  std::int64_t query_stride;
  const float* keys;  // (start + tokens, width)
  const float* values;
  std::int64_t key_stride, value_stride;
  float* made;  // (tokens, group, width)
  std::int64_t made_stride;
  std::int64_t tokens, group, width;
  std::int64_t start;   // keys before the first query's own
  std::int64_t window;  // a token sees so many, itself included; 0: all
  float scale, cap;     // scores s become cap * tanh(s / cap); 0: they stay
  float* scores;        // scratch: 4 times (start + tokens, rounded up to a multiple of 16)
};

struct Kernels {
  const char* name;  // "avx512"
  /// y (rows, columns) = x (rows, inner) times a panel (inner, kPanel), or += that. inner at most kInnerBlock. narrow: the
  /// panel holds the upper halves of floats whose lower halves are zero. next: null, or memory of a panel's size that will be
  /// read after this one, and is fetched meanwhile.
  void (*multiply)(const float* x, std::int64_t x_stride, std::int64_t rows, const void* panel, bool narrow, std::int64_t inner,
                   float* y, std::int64_t y_stride, std::int64_t columns, bool add, const void* next);
  /// y (rows, columns) = the rows of strips (below) times a panel (inner, kPanel), or += that. inner at most kInnerBlock.
  void (*multiply_strips)(const float* strips, std::int64_t rows, const float* panel, std::int64_t inner, float* y,
                          std::int64_t y_stride, std::int64_t columns, bool add);
  /// Columns of w (inner, rows) as the rows of a product: strips of as many as are multiplied at once, (inner, those) each,
  /// with zeros behind the last. Memory: rows rounded up to a multiple of kStripRoom, times inner.
  void (*pack_strips)(const float* w, std::int64_t stride, std::int64_t rows, std::int64_t inner, float* strips);
  /// A panel of which each column is a row of w (columns, inner); zeros behind the last.
  void (*pack_rows)(const float* w, std::int64_t stride, std::int64_t columns, std::int64_t inner, float* panel);
  /// A panel that is some columns of w (inner, columns); zeros behind the last.
  void (*pack_columns)(const float* w, std::int64_t stride, std::int64_t columns, std::int64_t inner, float* panel);
  /// The floats of which `from` holds the upper halves.
  void (*widen)(const std::uint16_t* from, std::int64_t count, float* to);
  void (*attend)(const AttentionRows& rows);
};

// One a kind of processor.
extern const Kernels kPlainKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels, kAvx512Kernels;
#endif

}  // namespace holdfast
