// A provider on this machine, for tests.
#pragma once

#include "fakes/chat_server.h"
#include "provider/settings.h"

namespace holdfast {

inline ProviderSettings quick_settings(const std::string& dialect, const std::string& url) {
  ProviderSettings settings;
  settings.dialect = dialect;
  settings.url = url;
  settings.model = "base-model";
  settings.consent = "a test asks itself";
  settings.spend_limit = 10;
  settings.training_price = 8;
  settings.input_price = 1;
  settings.output_price = 2;
  settings.base_lr = dialect == "openai" ? 1e-4 : 0;
  if (dialect == "fireworks") settings.account = "lab";
  settings.poll = 0.01;
  settings.backoff = 0.001;
  settings.retries = 3;
  settings.timeout = 10;
  settings.job_timeout = 20;
  return settings;
}

inline ProviderSettings quick_settings(const std::string& dialect, const fakes::ChatServer& server) {
  const std::string url = server.url();
  return quick_settings(dialect, dialect == "fireworks" ? url.substr(0, url.size() - 3) : url);
}

}  // namespace holdfast
