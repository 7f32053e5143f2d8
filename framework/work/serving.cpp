#include "work/serving.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

void check_count(std::size_t before, std::size_t after, const std::string& plugin) {
  if (before == after) return;
  throw Error("the serve stage \"" + plugin + "\" turned " + std::to_string(before) + " exchanges into " +
              std::to_string(after) + ": it must keep their order and number");
}

// What an inner stage gets: its figures stand with the stage of its own, in which it saw every exchange.
class Unreported final : public Context {
 public:
  explicit Unreported(Context& context) : context_(context) {}

  const Dataset& alignment() const override { return context_.alignment(); }
  Dataset corpus(const std::string& name) const override { return context_.corpus(name); }
  std::string refusal() const override { return context_.refusal(); }
  const Model& aligned_model() override { return context_.aligned_model(); }
  const Model& base_model() override { return context_.base_model(); }
  const Model& model(const std::filesystem::path& path) override { return context_.model(path); }
  Asker& asker() override { return context_.asker(); }
  const TrainingOptions& align_options() const override { return context_.align_options(); }
  const TrainingOptions& finetune_options() const override { return context_.finetune_options(); }
  std::uint64_t seed(const std::string& stream) const override { return context_.seed(stream); }
  void train(Model& model, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& step) override {
    context_.train(model, data, options, step);
  }
  std::map<std::string, at::Tensor> tuned_factors() const override { return context_.tuned_factors(); }
  std::vector<double> kept_of_aligned(const std::string& about, const std::function<std::vector<double>()>& find) override {
    return context_.kept_of_aligned(about, find);
  }
  void report(const std::string&, double, std::int64_t) override {}

 private:
  Context& context_;
};

// Beside each exchange: whether its reply is the model's own and was cut.
using Cut = std::vector<bool>;

void before(std::vector<Exchange>& exchanges, const NamedServe& serve, Context& context) {
  const std::size_t count = exchanges.size();
  serve.stage->before_generation(exchanges, context);
  check_count(count, exchanges.size(), serve.plugin);
}

void after(std::vector<Exchange>& exchanges, Cut& cut, const NamedServe& serve, Context& context) {
  const std::vector<Exchange> given = exchanges;
  serve.stage->after_generation(exchanges, context);
  check_count(given.size(), exchanges.size(), serve.plugin);
  for (std::size_t i = 0; i < given.size(); ++i) cut[i] = cut[i] && exchanges[i].reply == given[i].reply;
}

}  // namespace

// As long as no stage rewrites the prompt each sees it as one that guards stored replies; one that does asks those inside it.
Passage::Passage(const Conversation& asked, const std::vector<NamedServe>& stages, Context& context)
    : innermost_(asked), unreported_(std::make_unique<Unreported>(context)), context_(context) {
  bool as_inner = false;
  for (auto stage = stages.rbegin(); stage != stages.rend() && !answered_; ++stage) {
    std::vector<Exchange> exchange = {as_inner ? levels_.back().exchange : Exchange{asked, "", false}};
    before(exchange, *stage, as_inner ? *unreported_ : context_);
    levels_.push_back({&*stage, std::move(exchange.front()), as_inner});
    const Exchange& seen = levels_.back().exchange;
    answered_ = seen.answered;
    as_inner = as_inner || seen.prompt != asked;
    innermost_ = seen.prompt;
  }
}

Passage::Reply Passage::out(Reply reply) {
  if (answered_) reply = {levels_.back().exchange.reply, false};
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
    std::vector<Exchange> exchange = {level->exchange};
    exchange.front().reply = reply.text;
    if (level->as_inner) exchange.front().prompt = innermost_;
    Cut cut = {reply.cut};
    after(exchange, cut, *level->stage, level->as_inner ? *unreported_ : context_);
    reply = {exchange.front().reply, cut.front()};
    if (level->as_inner) innermost_ = exchange.front().prompt;
  }
  return reply;
}

void Serving::ask(std::vector<Exchange>& exchanges, Cut& cut, std::size_t stages) {
  if (exchanges.empty()) return;
  Unreported context(*context_);
  if (stages > 0) before(exchanges, inner_[stages - 1], context);
  std::vector<std::size_t> open;  // those that nobody answered yet
  std::vector<Exchange> passed;
  Cut passed_cut;
  for (std::size_t i = 0; i < exchanges.size(); ++i) {
    if (exchanges[i].answered) continue;
    open.push_back(i);
    passed.push_back(exchanges[i]);
    passed_cut.push_back(false);
  }
  if (stages > 0) {
    ask(passed, passed_cut, stages - 1);
  } else {
    std::vector<Conversation> prompts;
    for (const auto& exchange : passed) prompts.push_back(exchange.prompt);
    const auto replies = model_.generate(prompts, options_);
    for (std::size_t i = 0; i < passed.size(); ++i) {
      passed[i].reply = replies[i].text;
      passed_cut[i] = replies[i].cut;
      tokens_ += static_cast<std::int64_t>(replies[i].ids.size());
    }
  }
  for (std::size_t i = 0; i < open.size(); ++i) {
    exchanges[open[i]].prompt = passed[i].prompt;
    exchanges[open[i]].reply = passed[i].reply;
    cut[open[i]] = passed_cut[i];
  }
  if (stages > 0) after(exchanges, cut, inner_[stages - 1], context);
}

void Serving::answer(std::vector<Generation>& generations) {
  std::vector<Exchange> exchanges;
  for (const auto& each : generations) exchanges.push_back({each.asked, "", false});
  Cut cut(exchanges.size(), false);
  ask(exchanges, cut, 0);
  for (std::size_t i = 0; i < generations.size(); ++i) {
    generations[i].prompt = exchanges[i].prompt;
    generations[i].reply = exchanges[i].reply;
    generations[i].cut = cut[i];
  }
}

void Serving::guard(std::vector<Generation>& generations, const NamedServe& outer) {
  std::vector<Exchange> exchanges;
  for (const auto& each : generations) exchanges.push_back({each.asked, "", false});
  before(exchanges, outer, *context_);
  Cut cut(exchanges.size(), false);
  std::vector<std::size_t> rewritten;
  std::vector<Exchange> fresh;
  for (std::size_t i = 0; i < exchanges.size(); ++i) {
    if (exchanges[i].answered) continue;
    if (exchanges[i].prompt == generations[i].asked) {
      exchanges[i].reply = generations[i].reply;
      cut[i] = generations[i].cut;
    } else {
      rewritten.push_back(i);
      fresh.push_back(exchanges[i]);
      generations[i].prompt = exchanges[i].prompt;
    }
  }
  Cut fresh_cut(fresh.size(), false);
  ask(fresh, fresh_cut, inner_.size());
  for (std::size_t i = 0; i < rewritten.size(); ++i) {
    exchanges[rewritten[i]].reply = fresh[i].reply;
    cut[rewritten[i]] = fresh_cut[i];
    generations[rewritten[i]].prompt = fresh[i].prompt;
  }
  after(exchanges, cut, outer, *context_);
  for (std::size_t i = 0; i < generations.size(); ++i) {
    generations[i].reply = exchanges[i].reply;
    generations[i].cut = cut[i];
  }
}

}  // namespace holdfast
