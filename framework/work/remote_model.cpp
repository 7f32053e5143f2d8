#include "work/remote_model.h"

#include <holdfast/error.h>

#include "base/work_progress.h"

namespace holdfast {

RemoteModel::RemoteModel(const ProviderSettings& settings, std::string name, SpendLedger& ledger, std::string refusal)
    : settings_(settings), name_(std::move(name)), ledger_(ledger), refusal_(std::move(refusal)) {}

std::vector<Generated> RemoteModel::generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const {
  const auto told = [&](std::size_t done) {
    tell_progress({"reply", static_cast<std::int64_t>(done), static_cast<std::int64_t>(prompts.size()), 0, std::nullopt});
  };
  std::vector<Generated> replies;
  for (auto& answer : ask_provider(settings_, name_, prompts, options, ledger_, asked_, told)) {
    const bool declined = !answer.declined.empty();
    declined_ += declined ? 1 : 0;
    replies.push_back({declined ? refusal_ : std::move(answer.text), {}, answer.cut});
  }
  replies_ += static_cast<std::int64_t>(replies.size());
  return replies;
}

void RemoteModel::refuse() const {
  throw Error("this stage looks into " + described(settings_) +
              ", which is behind a provider's interface and does no more than answer: leave its plugin out for that model");
}

std::int64_t RemoteModel::layers() const { refuse(); }
std::int64_t RemoteModel::width() const { refuse(); }
at::Device RemoteModel::device() const { refuse(); }
Encoded RemoteModel::encode(const Conversation&, std::int64_t) const { refuse(); }
std::vector<std::int64_t> RemoteModel::encode_prompt(const Conversation&) const { refuse(); }
Batch RemoteModel::pack(const std::vector<Encoded>&) const { refuse(); }
at::Tensor RemoteModel::hidden(const Batch&) const { refuse(); }
std::vector<at::Tensor> RemoteModel::states(const Batch&, const std::vector<std::int64_t>&) const { refuse(); }
at::Tensor RemoteModel::head(const at::Tensor&) const { refuse(); }
std::vector<at::Tensor> RemoteModel::attention_shares(const Batch&, std::int64_t, const at::Tensor&, const at::Tensor&) const {
  refuse();
}
at::Tensor RemoteModel::log_probs(const Batch&) const { refuse(); }
at::Tensor RemoteModel::next_log_probs(const Batch&) const { refuse(); }
at::Tensor RemoteModel::kl(const Batch&, const Model&) const { refuse(); }
std::vector<std::vector<double>> RemoteModel::reply_log_probs(const std::vector<Conversation>&) const { refuse(); }
at::Tensor RemoteModel::mean_hidden(const std::vector<Conversation>&) const { refuse(); }
std::map<std::string, at::Tensor> RemoteModel::trainable() { refuse(); }
std::map<std::string, at::Tensor> RemoteModel::weights() const { refuse(); }
std::vector<std::string> RemoteModel::linears(std::int64_t) const { refuse(); }
at::Tensor RemoteModel::effective_weight(const std::string&) const { refuse(); }
void RemoteModel::set_weight(const std::string&, const at::Tensor&) { refuse(); }
std::unique_ptr<Model> RemoteModel::clone() const { refuse(); }
Listeners& RemoteModel::listeners() const { refuse(); }

}  // namespace holdfast
