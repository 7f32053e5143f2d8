// Chats with a provider's models.
#pragma once

#include <holdfast/model.h>

#include <functional>
#include <vector>

#include "judge/answer.h"
#include "provider/ledger.h"
#include "provider/settings.h"

namespace holdfast {

/// What asking did cost.
struct ChatsCost {
  std::int64_t tokens = 0;  // of the replies, as far as the provider counted them
  double price = 0;         // in the settings' currency; of what a recording had, as it was then
};

/// The replies of `model`, in the order of the prompts. Before each batch of `options.batch_size` its price is set aside in the
/// ledger. With a recording in the settings, replies that it has are taken from there and all others added; to replay is to
/// take nothing else. `told` hears how many are answered. Throws Error where the service cannot be asked, and Stopped between
/// batches.
std::vector<Answer> ask_provider(const ProviderSettings& settings, const std::string& model,
                                 const std::vector<Conversation>& prompts, const GenerateOptions& options, SpendLedger& ledger,
                                 ChatsCost& asked, const std::function<void(std::size_t)>& told);

}  // namespace holdfast
