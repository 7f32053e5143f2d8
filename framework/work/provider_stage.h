// Where stages at a provider keep what they spend.
#pragma once

#include <string>

#include "provider/ledger.h"
#include "provider/submission.h"
#include "work/stage_work.h"

namespace holdfast {

/// Of a stage whose work a provider does.
inline SpendLedger spend_ledger(StageWork& work, const ProviderSettings& settings) {
  work.computes_elsewhere();
  return {work.beside_artifacts("spending.jsonl"), settings};
}

}  // namespace holdfast
