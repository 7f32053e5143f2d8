#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/row_states.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace holdfast {
namespace {

// Tokens of one forward: enough to keep the cores busy, little enough for all layers' states.
constexpr std::size_t kForwardTokens = 2048;

// With its last reply as what is learned, all of it and nothing else.
Encoded with_last_reply(const Model& model, Conversation messages, std::int64_t max_length) {
  bool found = false;
  for (auto turn = messages.rbegin(); turn != messages.rend(); ++turn) {
    turn->learned = turn->role == "assistant" && !std::exchange(found, true);
    turn->learn_from = 0;
  }
  return model.encode(messages, max_length);
}

at::Tensor wide(const at::Tensor& states) { return states.to(at::promote_types(states.scalar_type(), at::kFloat)); }

std::vector<at::Tensor> states_at(const Model& model, const Batch& batch, const std::vector<std::int64_t>& layers) {
  std::vector<std::int64_t> inner = layers;
  std::erase(inner, kFinalNorm);
  const std::vector<at::Tensor> found = inner.empty() ? std::vector<at::Tensor>() : model.states(batch, inner);
  std::vector<at::Tensor> all;
  auto next = found.begin();
  for (const auto layer : layers) all.push_back(layer == kFinalNorm ? model.hidden(batch) : *next++);
  return all;
}

// The rows of some layer, one forward after another.
struct Gathered {
  std::vector<at::Tensor> last, prompt, reply;

  void add(const Batch& batch, const at::Tensor& states) {
    std::int64_t row = 0, first = 0, label = 0;
    const at::Tensor example = batch.target_example.cpu();
    for (const auto length : batch.lengths) {
      last.push_back(wide(states[first + length - 1]));
      const std::int64_t labels = (example == row++).sum().item<std::int64_t>();
      const at::Tensor before = batch.target_rows.narrow(0, label, labels);
      const at::Tensor none = at::zeros_like(last.back());
      prompt.push_back(labels == 0 ? none : wide(states.index_select(0, before.narrow(0, 0, 1))[0]));
      reply.push_back(labels == 0 ? none : wide(states.index_select(0, before + 1)).mean(0));
      first += length;
      label += labels;
    }
  }
};

}  // namespace

std::vector<RowStates> row_states(const Model& model, const Dataset& rows, const std::vector<std::int64_t>& layers,
                                  std::int64_t max_length) {
  const c10::NoGradGuard no_grad;
  std::vector<Gathered> gathered(layers.size());
  std::vector<bool> answered;
  std::vector<Encoded> pending;
  std::size_t tokens = 0;
  const auto flush = [&] {
    if (pending.empty()) return;
    const Batch batch = model.pack(pending);
    const std::vector<at::Tensor> states = states_at(model, batch, layers);
    for (std::size_t i = 0; i < layers.size(); ++i) gathered[i].add(batch, states[i]);
    pending.clear();
    tokens = 0;
  };
  for (const auto& row : rows) {
    pending.push_back(with_last_reply(model, row.messages, max_length));
    const auto& label = pending.back().label;
    answered.push_back(std::find(label.begin(), label.end(), true) != label.end());
    tokens += label.size();
    if (tokens >= kForwardTokens) flush();
  }
  flush();
  const auto stacked = [](const std::vector<at::Tensor>& list) { return list.empty() ? at::zeros({0, 0}) : at::stack(list); };
  std::vector<RowStates> all;
  for (const auto& each : gathered) all.push_back({stacked(each.last), stacked(each.prompt), stacked(each.reply), answered});
  return all;
}

LayerChoice::LayerChoice(Params& params, std::string who, double depth)
    : who_(std::move(who)),
      layer_(params.integer("layer", -1,
                            "the layer whose states are read: 0 is the embedding, l stands behind block l; -1: by depth", -1)),
      depth_(params.number("depth", depth, "without a layer: the share of the model's blocks that stand below it", 0, 1)) {}

std::int64_t LayerChoice::of(const Model& model) const {
  if (layer_ < 0) return std::llround(depth_ * static_cast<double>(model.layers()));
  if (layer_ <= model.layers()) return layer_;
  throw Error(who_ + " is to read the states of layer " + std::to_string(layer_) + ", and the model has 0 (the embedding) to " +
              std::to_string(model.layers()) + ": lower \"layer\", or leave it out and set \"depth\"");
}

}  // namespace holdfast
