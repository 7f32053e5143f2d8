#include "provider/settings.h"

#include <holdfast/error.h>

#include <cstdlib>

namespace holdfast {

Json to_json(const ProviderSettings& settings) {
  Json json = {{"dialect", settings.dialect},
               {"url", settings.url},
               {"model", settings.model},
               {"key_env", settings.key_env},
               {"consent", settings.consent},
               {"spend_limit", settings.spend_limit},
               {"currency", settings.currency},
               {"input_price", settings.input_price},
               {"output_price", settings.output_price},
               {"poll", settings.poll},
               {"job_timeout", settings.job_timeout},
               {"timeout", settings.timeout},
               {"backoff", settings.backoff},
               {"retries", settings.retries},
               {"concurrency", settings.concurrency}};
  if (!settings.account.empty()) json["account"] = settings.account;
  if (settings.training_price) json["training_price"] = *settings.training_price;
  if (settings.base_lr > 0) json["base_lr"] = settings.base_lr;
  if (!settings.recording.empty()) json["recording"] = settings.recording;
  if (settings.replay) json["replay"] = true;
  return json;
}

ProviderSettings provider_settings_from_json(const Json& json) {
  ProviderSettings settings;
  json.at("dialect").get_to(settings.dialect);
  json.at("url").get_to(settings.url);
  json.at("model").get_to(settings.model);
  json.at("key_env").get_to(settings.key_env);
  json.at("consent").get_to(settings.consent);
  json.at("spend_limit").get_to(settings.spend_limit);
  json.at("currency").get_to(settings.currency);
  json.at("input_price").get_to(settings.input_price);
  json.at("output_price").get_to(settings.output_price);
  json.at("poll").get_to(settings.poll);
  json.at("job_timeout").get_to(settings.job_timeout);
  json.at("timeout").get_to(settings.timeout);
  json.at("backoff").get_to(settings.backoff);
  json.at("retries").get_to(settings.retries);
  json.at("concurrency").get_to(settings.concurrency);
  settings.account = json.value("account", "");
  if (json.contains("training_price")) settings.training_price = json.at("training_price").get<double>();
  settings.base_lr = json.value("base_lr", 0.0);
  settings.recording = json.value("recording", "");
  settings.replay = json.value("replay", false);
  return settings;
}

Json identity(const ProviderSettings& settings) {
  Json json = {{"dialect", settings.dialect}, {"url", settings.url}, {"model", settings.model}};
  if (!settings.account.empty()) json["account"] = settings.account;
  return json;
}

std::string described(const ProviderSettings& settings) {
  return "the model " + in_quotes(settings.model) + " of " + settings.url;
}

std::string key_of(const ProviderSettings& settings) {
  if (settings.key_env.empty()) return "";
  const char* key = std::getenv(settings.key_env.c_str());
  if (key == nullptr || *key == '\0') {
    throw Error("this worker's environment lacks the variable " + settings.key_env + ", which holds the key for " +
                described(settings) + ": export it where the workers start");
  }
  return key;
}

}  // namespace holdfast
