#include "learn/training_stack.h"

#include <ATen/core/Tensor.h>
#include <holdfast/error.h>

#include <algorithm>

namespace holdfast {
namespace {

// Keeps nothing between two steps.
class PlainStage final : public TrainingStage {
 public:
  bool archive(Archive&) override { return true; }
};

PlainStage plain;

// The rows of a member that stands inside another: the batch that it was handed.
class HandedRows final : public Stream {
 public:
  HandedRows(const Batches& batches, Stream& rows, const std::string& inner, const std::string& outer)
      : batches_(batches), rows_(rows), inner_(inner), outer_(outer) {}

  Batches next() override {
    if (taken_) {
      throw Error("\"" + inner_ + "\" pulls more than one batch of the rows in a step and \"" + outer_ +
                  "\", which stands behind it in the stack, hands it one: put \"" + inner_ +
                  "\" last, or leave one of them out");
    }
    taken_ = true;
    return batches_;
  }
  std::int64_t position() const override { return rows_.position(); }
  std::int64_t per_epoch() const override { return rows_.per_epoch(); }
  bool taken() const { return taken_; }

 private:
  const Batches& batches_;
  Stream& rows_;
  const std::string &inner_, &outer_;
  bool taken_ = false;
};

}  // namespace

// The trainer as one member sees it: what concerns its place in the stack is its own, all else the trainer's.
class MemberTrainer final : public Trainer {
 public:
  MemberTrainer(Trainer& base, TrainingStack& stack, std::size_t member, const TrainingStack::Handed* handed = nullptr,
                Stream* rows = nullptr)
      : base_(base), stack_(stack), member_(member), handed_(handed), rows_(rows != nullptr ? *rows : base.rows()) {}

  Stream& rows() override { return rows_; }
  Stream& stream(const std::string& name, const Dataset& data, const StreamOptions& options) override {
    return base_.stream(stack_.prefix(member_) + name, data, options);
  }
  at::Tensor loss(const Batch& batch) override {
    return handed_ != nullptr && handed_->loss ? handed_->loss(batch) : base_.loss(batch);
  }
  double backward(const Batches& batches, const Loss& loss) override {
    const Loss& wanted = loss || handed_ == nullptr ? loss : handed_->loss;
    if (member_ == 0) return base_.backward(batches, wanted);
    const TrainingStack::Handed inside{batches, wanted};
    return stack_.step(base_, member_ - 1, &inside);
  }

  Model& model() override { return base_.model(); }
  Context& context() override { return base_.context(); }
  const Model& reference() override { return base_.reference(); }
  std::int64_t step() const override { return base_.step(); }
  std::int64_t total_steps() const override { return base_.total_steps(); }
  const TrainingOptions& options() const override { return base_.options(); }
  const Tensors& parameters() const override { return base_.parameters(); }
  const std::vector<std::string>& names() const override { return base_.names(); }
  const Tensors& weights() const override { return base_.weights(); }
  void train_only(const std::function<bool(const std::string&)>& which) override { base_.train_only(which); }
  void backward(const at::Tensor& loss) override { base_.backward(loss); }
  Tensors gradients(const Batches& batches, const Loss& loss) override { return base_.gradients(batches, loss); }
  Tensors gradients(const at::Tensor& loss, const Tensors& of, bool keep_graph) override {
    return base_.gradients(loss, of, keep_graph);
  }
  void add_gradient(const Tensors& gradient, double scale) override { base_.add_gradient(gradient, scale); }
  Snapshot snapshot(bool with_moments) const override { return base_.snapshot(with_moments); }
  void restore(const Snapshot& snapshot) override { base_.restore(snapshot); }
  void move(const Tensors& direction, double distance) override { base_.move(direction, distance); }
  std::unique_ptr<Optimizer> optimizer(double weight_decay) override { return base_.optimizer(weight_decay); }

 private:
  Trainer& base_;
  TrainingStack& stack_;
  std::size_t member_;
  const TrainingStack::Handed* handed_;
  Stream& rows_;
};

TrainingStack::TrainingStack(std::vector<TrainingMember> members) : members_(std::move(members)) {
  if (members_.empty()) members_.push_back({"plain", &plain});
}

std::vector<std::string> TrainingStack::names() const {
  std::vector<std::string> names;
  for (const auto& member : members_) names.push_back(member.name);
  return names;
}

void TrainingStack::begin(Trainer& trainer) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    MemberTrainer view(trainer, *this, i);
    members_[i].stage->begin(view);
  }
}

double TrainingStack::step(Trainer& trainer) {
  ran_.assign(members_.size(), false);
  const double loss = step(trainer, members_.size() - 1, nullptr);
  if (const auto idle = std::find(ran_.begin(), ran_.end(), false); idle != ran_.end()) {
    const auto inner = static_cast<std::size_t>(idle - ran_.begin());
    throw Error("\"" + members_[inner + 1].name + "\" computes its gradients without \"" + members_[inner].name +
                "\", which stands before it in the stack and would do nothing: change their order, or leave one of them out");
  }
  return loss;
}

double TrainingStack::step(Trainer& trainer, std::size_t member, const Handed* handed) {
  ran_[member] = true;
  if (handed == nullptr) {
    MemberTrainer view(trainer, *this, member);
    return members_[member].stage->step(view);
  }
  const std::string &inner = members_[member].name, &outer = members_[member + 1].name;
  HandedRows rows(handed->batches, trainer.rows(), inner, outer);
  MemberTrainer view(trainer, *this, member, handed, &rows);
  const double loss = members_[member].stage->step(view);
  if (!rows.taken()) {
    throw Error("\"" + inner + "\" leaves the batch untouched that \"" + outer +
                "\", which stands behind it in the stack, hands it: put \"" + inner + "\" last, or leave one of them out");
  }
  return loss;
}

void TrainingStack::finish(Trainer& trainer) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    MemberTrainer view(trainer, *this, i);
    members_[i].stage->finish(view);
  }
}

bool TrainingStack::write(ArchivedTensors& kept) {
  bool whole = true;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    ArchiveWriter writer(kept, prefix(i));
    whole = members_[i].stage->archive(writer) && whole;
  }
  return whole;
}

void TrainingStack::read(const ArchivedTensors& kept) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    ArchiveReader reader(kept, prefix(i));
    members_[i].stage->archive(reader);
  }
}

}  // namespace holdfast
