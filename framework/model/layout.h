// Where the packed tokens of one forward lie, and what each may see. Letters of shapes: decoder.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/config.h"
#include "model/kv_cache.h"
#include "model/spans.h"

namespace holdfast {

/// What one kind of layer, sliding or not, makes of the positions.
struct View {
  at::Tensor cos, sin;      // (N, 1, D / 2), in the model's dtype
  at::Tensor mask;          // what each query may see; undefined: plain causal
  at::Tensor prefix_mask;   // the same for a shared prefix
  bool flash = false;       // model/flash.h serves it, which needs no mask
  std::int64_t window = 0;  // a token sees so many, itself included; 0: all
  std::int64_t pairs = 0;   // of a query and a token that it sees, itself included, in all sequences
};

/// Where each sequence begins and ends, as flash kernels take it: on the device, int32 but for `rows`. Undefined where they do
/// not serve the model.
struct Packing {
  at::Tensor ends;                    // (B + 1) a 0, and the tokens up to the end of each sequence
  at::Tensor prefix_ends, rest_ends;  // (2) with a shared prefix: a 0, and its length; a 0, and the number of the other tokens
  at::Tensor key_begins;              // (B + 1) with a cache: the row of its tokens where each sequence begins, and a last one
  at::Tensor key_counts;              // (B) with a cache: the tokens of each sequence that it holds then
  at::Tensor rows;                    // (N) int64, with a cache: the row of each fresh token
};

struct Layout {
  std::int64_t batch = 0;             // B
  std::int64_t longest = 0;           // T
  std::int64_t start = 0;             // tokens of every sequence already cached (when that is one number)
  std::int64_t last = 0;              // the greatest position
  std::int64_t prefix = 0;            // leading tokens that stand for the beginning of every sequence
  bool single = false;                // each sequence brings one token to its own place in the cache
  std::vector<std::int64_t> lengths;  // tokens of each sequence
  std::vector<std::int64_t> starts;   // tokens of each that stand before them
  at::Tensor rows;                    // (N) place of each token in (B * T); undefined when no padding is needed
  at::Tensor positions;               // (N), without a shared prefix; of a single token also its cache slot
  std::vector<std::int64_t> places;   // the same numbers
  Packing packing;
  View full, sliding;
  Spans spans;                // whose adapters the rows go through
  std::vector<Layout> parts;  // of each span, where attention is computed span by span, as each would be alone

  /// The same on another device.
  Layout on(at::Device device) const;
};

/// Makes the layouts of one decoder.
class LayoutMaker {
 public:
  /// options: dtype and device of the weights.
  LayoutMaker(const ModelConfig& config, const at::TensorOptions& options);

  /// Of whole sequences, or of what continues those of a cache, from that row on. Throws Error for one beyond the model's
  /// limit.
  Layout packed(const std::vector<std::int64_t>& lengths, const KvCache* cache, std::int64_t first = 0) const;
  /// Of what follows a prefix that all have in common.
  Layout shared(std::int64_t prefix, const std::vector<std::int64_t>& lengths) const;
  /// Of parts that stand one behind the other, without a cache.
  static Layout together(std::vector<Layout> parts, Spans spans);

 private:
  Layout place(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& starts) const;
  Packing pack(const Layout& layout, std::int64_t capacity) const;
  void set_views(Layout& layout) const;
  View view(const Layout& layout, const at::Tensor& frequencies, std::int64_t window) const;

  ModelConfig config_;
  at::TensorOptions options_;
  bool flash_;
  at::Tensor frequencies_, sliding_frequencies_;  // (D / 2) float64, radians a position
};

/// Which of the first `keys` positions each query (T) sees, (T, keys): itself and what came before, of that the last `window`
/// only (0: all).
at::Tensor visible(const at::Tensor& queries, std::int64_t keys, std::int64_t window);

/// How many that are, over the tokens of one whole sequence.
std::int64_t pairs_seen(std::int64_t tokens, std::int64_t window);

/// (N, heads, D) -> (B, heads, T, D); padding holds zeros, stands behind the real tokens, and is never read back.
at::Tensor spread(const at::Tensor& packed, const Layout& layout);
/// (B, H, T, D) -> (N, H * D), the inverse of spread.
at::Tensor collect(const at::Tensor& heads, const Layout& layout);

}  // namespace holdfast
