// A scripted service, and what a client was told by it.
#pragma once

#include <holdfast/error.h>

#include <stdexcept>

#include "provider/client.h"
#include "provider/hyperparameters.h"
#include "provider/quick_settings.h"

namespace holdfast {

using fakes::ChatServer;
using fakes::Request;
using fakes::Scripted;

inline const std::string kKey(64, 'a');
inline const std::string kTag = "hf" + std::string(16, 'a');

inline TrainingRows two_rows() {
  return training_rows({{{{"user", "a"}, {"assistant", "b"}}, {}}, {{{"user", "c"}, {"assistant", "d"}}, {}}});
}

inline JobOrder order_for(const ProviderSettings& settings) {
  TrainingOptions options;
  options.epochs = 5;
  options.lr = 2e-4;
  return {kKey, hyperparameters(dialect(settings.dialect), options, settings.base_lr), 7, 2};
}

// Answers by "METHOD /path", one after another, the last one for good; what nobody expects is a 404.
inline ChatServer::Script answers(std::map<std::string, std::vector<Scripted>> by_request) {
  return [by_request = std::move(by_request), given = std::map<std::string, std::size_t>()](const Request& request) mutable {
    const std::string what = request.method + " " + request.path;
    const auto found = by_request.find(what);
    if (found == by_request.end()) return Scripted{404, R"({"error": {"message": "no such route"}})"};
    return found->second[std::min(given[what]++, found->second.size() - 1)];
  };
}

inline const Request& asked(const std::vector<Request>& requests, const std::string& what) {
  for (const auto& each : requests) {
    if (each.method + " " + each.path == what) return each;
  }
  throw std::runtime_error("nobody asked " + what);
}

struct Told {
  std::string file;
  std::optional<ProviderRefusal> refusal;
  std::optional<JobState> job;
  std::vector<Request> requests;
  std::string error;
};

// Uploads and creates.
inline Told submit(const std::string& dialect, const std::map<std::string, std::vector<Scripted>>& script, bool begun = false) {
  const ChatServer server(answers(script));
  const ProviderSettings settings = quick_settings(dialect, server);
  Told told;
  try {
    ProviderClient client(settings, "sk-secret");
    const auto uploaded = client.upload(two_rows(), order_for(settings));
    if (const auto* refusal = std::get_if<ProviderRefusal>(&uploaded)) told.refusal = *refusal;
    if (!told.refusal) {
      told.file = std::get<std::string>(uploaded);
      const auto created = client.create(told.file, order_for(settings), begun);
      if (const auto* refusal = std::get_if<ProviderRefusal>(&created)) told.refusal = *refusal;
      if (!told.refusal) told.job = std::get<JobState>(created);
    }
  } catch (const Error& error) {
    told.error = error.what();
  }
  told.requests = server.requests();
  return told;
}

// What the service says of a job of that id.
inline JobState look(const std::string& dialect, const std::string& path, const Json& job, const std::string& events_path = {},
                     const Json& events = {}) {
  std::map<std::string, std::vector<Scripted>> script = {{"GET " + path, {{200, job.dump()}}}};
  if (!events_path.empty()) script["GET " + events_path] = {{200, events.dump()}};
  const ChatServer server(answers(script));
  const ProviderSettings settings = quick_settings(dialect, server);
  return ProviderClient(settings, "").job("job-1");
}

}  // namespace holdfast
