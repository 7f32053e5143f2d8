#include "model/flash.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace holdfast {
namespace {

// The widest head of the kernels; widths are multiples of 8.
constexpr std::int64_t kWidestHead = 256;

// How torch is told to be deterministic, while it lives.
class Determinism {
 public:
  Determinism(bool asked, bool warns) { at::globalContext().setDeterministicAlgorithms(asked, warns); }
  ~Determinism() { at::globalContext().setDeterministicAlgorithms(asked_, warns_); }
  Determinism(const Determinism&) = delete;
  Determinism& operator=(const Determinism&) = delete;

 private:
  bool asked_ = at::globalContext().deterministicAlgorithms();
  bool warns_ = at::globalContext().deterministicAlgorithmsWarnOnly();
};

// One call of the kernel: which queries (n, H, D) see which keys (m, G, D). Sequence b has the queries between two neighbours
// of `queries` and the keys between two of `keys`; the last of each see each other.
struct Seen {
  at::Tensor queries, keys;  // (B + 1) int32
  std::int64_t most_queries = 0, most_keys = 0;
  bool causal = true;
  std::int64_t window = 0;  // 0: all

  std::optional<std::int64_t> left() const { return window == 0 ? std::nullopt : std::optional(window - 1); }
  std::optional<std::int64_t> right() const { return window == 0 ? std::nullopt : std::optional<std::int64_t>(0); }
};

struct Made {
  at::Tensor mixed;    // (n, H, D)
  at::Tensor log_sum;  // (H, n) float32, of the exponentials of the scores
};

Made mix(const Seen& seen, double scale, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
         const std::optional<at::Tensor>& used = std::nullopt) {
  auto made =
      at::_flash_attention_forward(q, k, v, seen.queries, seen.keys, seen.most_queries, seen.most_keys, 0.0, seen.causal,
                                   /*return_debug_mask=*/false, scale, seen.left(), seen.right(), used);
  return {std::get<0>(made), std::get<1>(made)};
}

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

// Gradients of q, k and v. `made` may be of more keys than these: what is asked of each part of them adds up to the whole.
Three unmix(const Seen& seen, double scale, const at::Tensor& slope, const at::Tensor& q, const at::Tensor& k,
            const at::Tensor& v, const Made& made) {
  // The kernel adds its parts in a fixed order where nothing else is allowed, not where it would only be warned of.
  const Determinism strict(at::globalContext().deterministicAlgorithms(), false);
  const at::Tensor no_dropout = at::empty({2}, q.options().dtype(at::kLong));
  return at::_flash_attention_backward(slope, q, k, v, made.mixed, made.log_sum, seen.queries, seen.keys, seen.most_queries,
                                       seen.most_keys, 0.0, seen.causal, no_dropout, no_dropout, scale, seen.left(),
                                       seen.right());
}

// Two mixtures of the same queries over different keys, as that over all of them.
Made joined(const Made& a, const Made& b) {
  const at::Tensor log_sum = at::logaddexp(a.log_sum, b.log_sum);
  const auto part = [&](const Made& each) {
    const at::Tensor share = (each.log_sum - log_sum).exp().transpose(0, 1).unsqueeze(-1);  // (n, H, 1)
    return each.mixed * share;
  };
  return {(part(a) + part(b)).to(a.mixed.scalar_type()), log_sum};
}

Seen whole_sequences(const Layout& layout, const View& view) {
  return {layout.packing.ends, layout.packing.ends, layout.longest, layout.longest, true, view.window};
}

// A shared prefix of P tokens, then what follows it: the prefix sees itself, the rest sees itself and the whole prefix.
struct Parts {
  Seen prefix, own, across;

  explicit Parts(const Layout& layout)
      : prefix{layout.packing.prefix_ends, layout.packing.prefix_ends, layout.prefix, layout.prefix, true, 0},
        own{layout.packing.ends, layout.packing.ends, layout.longest, layout.longest, true, 0},
        across{layout.packing.rest_ends,
               layout.packing.prefix_ends,
               static_cast<std::int64_t>(layout.places.size()),
               layout.prefix,
               false,
               0} {}
};

struct WholeAttention : torch::autograd::Function<WholeAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const Seen& seen, double scale) {
    const Made made = mix(seen, scale, q, k, v);
    context->save_for_backward({q, k, v, made.mixed, made.log_sum, seen.queries});
    context->saved_data["longest"] = seen.most_queries;
    context->saved_data["window"] = seen.window;
    context->saved_data["scale"] = scale;
    return made.mixed;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    const auto saved = context->get_saved_variables();
    const std::int64_t longest = context->saved_data["longest"].toInt();
    const Seen seen{saved[5], saved[5], longest, longest, true, context->saved_data["window"].toInt()};
    auto [q, k, v] =
        unmix(seen, context->saved_data["scale"].toDouble(), slopes[0], saved[0], saved[1], saved[2], {saved[3], saved[4]});
    return {q, k, v, {}, {}};
  }
};

struct SharedAttention : torch::autograd::Function<SharedAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const Layout& layout, double scale) {
    const std::int64_t first = layout.prefix, rest = q.size(0) - first;
    const auto begin = [&](const at::Tensor& x) { return x.narrow(0, 0, first); };
    const auto end = [&](const at::Tensor& x) { return x.narrow(0, first, rest); };
    const Parts parts(layout);
    const Made prefix = mix(parts.prefix, scale, begin(q), begin(k), begin(v));
    const Made followed =
        joined(mix(parts.across, scale, end(q), begin(k), begin(v)), mix(parts.own, scale, end(q), end(k), end(v)));
    const at::Tensor all = at::cat({prefix.mixed, followed.mixed});
    const Packing& packing = layout.packing;
    context->save_for_backward(
        {q, k, v, all, prefix.log_sum, followed.log_sum, packing.ends, packing.prefix_ends, packing.rest_ends});
    context->saved_data["prefix"] = first;
    context->saved_data["longest"] = layout.longest;
    context->saved_data["scale"] = scale;
    return all;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    const auto saved = context->get_saved_variables();
    const double scale = context->saved_data["scale"].toDouble();
    const std::int64_t first = context->saved_data["prefix"].toInt(), longest = context->saved_data["longest"].toInt();
    const std::int64_t rest = saved[0].size(0) - first;
    const auto begin = [&](const at::Tensor& x) { return x.narrow(0, 0, first); };
    const auto end = [&](const at::Tensor& x) { return x.narrow(0, first, rest); };
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], slope = slopes[0].contiguous();
    const Made prefix{begin(saved[3]), saved[4]}, followed{end(saved[3]), saved[5]};
    const auto own = unmix({saved[6], saved[6], longest, longest}, scale, end(slope), end(q), end(k), end(v), followed);
    const auto across =
        unmix({saved[8], saved[7], rest, first, false}, scale, end(slope), end(q), begin(k), begin(v), followed);
    const auto within = unmix({saved[7], saved[7], first, first}, scale, begin(slope), begin(q), begin(k), begin(v), prefix);
    return {at::cat({std::get<0>(within), std::get<0>(own) + std::get<0>(across)}),
            at::cat({std::get<1>(within) + std::get<1>(across), std::get<1>(own)}),
            at::cat({std::get<2>(within) + std::get<2>(across), std::get<2>(own)}),
            {},
            {}};
  }
};

// A cached layer (B, G, capacity, D) as rows (B * capacity, G, D); its memory is laid out so (Decoder::new_cache).
at::Tensor as_rows(const at::Tensor& cached) { return cached.transpose(1, 2).flatten(0, 1); }

void remember(const at::Tensor& cached, const at::Tensor& fresh, const Packing& packing) {
  // Else torch sorts the places, since two of them might be the same; these never are.
  const Determinism distinct(false, false);
  as_rows(cached).index_copy_(0, packing.rows, fresh);
}

}  // namespace

bool flash_serves(const ModelConfig& config, const at::TensorOptions& options) {
  const auto type = c10::typeMetaToScalarType(options.dtype());
  return options.device().is_cuda() && (type == at::kBFloat16 || type == at::kHalf) && config.score_cap == 0 &&
         config.head_width % 8 == 0 && config.head_width <= kWidestHead;
}

at::Tensor flash_attend(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const Layout& layout, const View& view, const std::optional<CachedLayer>& cache) {
  const double scale = score_scale(config);
  at::Tensor mixed;
  if (cache) {
    const Packing& packing = layout.packing;
    remember(cache->keys, k, packing);
    remember(cache->values, v, packing);
    const Seen seen{packing.ends, packing.key_begins, layout.longest, layout.last + 1, true, view.window};
    mixed = mix(seen, scale, q, as_rows(cache->keys), as_rows(cache->values), packing.key_counts).mixed;
  } else if (layout.prefix > 0) {
    mixed = SharedAttention::apply(q, k, v, layout, scale);
  } else {
    mixed = WholeAttention::apply(q, k, v, whole_sequences(layout, view), scale);
  }
  return mixed.reshape({q.size(0), -1});
}

}  // namespace holdfast
