#include "remote/http_exchange.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>

#include "base/untrusted.h"
#include "remote/http_queue.h"
#include "remote/lease_keeper.h"
#include "remote/wire.h"

namespace holdfast {
namespace {

constexpr int kMostRounds = 3;  // of uploads: what was there a moment ago may be gone

// The weights that a stage loads, judges' own among them.
std::vector<WeightsRef> weights_of(const StageRequest& stage) {
  std::vector<WeightsRef> all;
  for (const auto& [role, weights] : stage.weights) all.push_back(weights);
  if (stage.task.contains("judge_model")) all.push_back(weights_ref_from_json(stage.task.at("judge_model")));
  return all;
}

bool same_files(const Manifest& a, const Manifest& b) {
  return std::equal(a.files.begin(), a.files.end(), b.files.begin(), b.files.end(),
                    [](const auto& x, const auto& y) { return x.name == y.name && x.sha256 == y.sha256; });
}

Json missing_in(const StoreReply& reply) {
  const Json json = json_or_discarded(reply.body);
  return json.is_object() && json.contains("missing") ? json.at("missing") : Json::array();
}

}  // namespace

HttpExchange::HttpExchange(StoreClient& client, const fs::path& cache, double lost_after)
    : client_(client), lost_after_(lost_after), store_(cache), files_(client, store_.root() / "files") {}

void HttpExchange::bring(StageRequest& stage) {
  if (stage.task.contains("provider")) {
    throw Error(
        "a model behind a provider's interface is asked by workers that see the folder of the run's store, where it is counted "
        "what they spend, and this worker has the store over HTTP: start one on a machine that has the folder");
  }
  std::optional<LeaseKeeper> keeper;
  if (stage.lease) keeper.emplace(client_, lease_name(*stage.lease), lost_after_);
  const Json digests = stage.document.value("inputs", Json::object());
  for (const auto& [role, input] : stage.inputs) bring(input.kind, input.key, digests.value(role, ""));
  for (const auto& weights : weights_of(stage)) {
    for (const auto& link : weights.chain) bring(link.kind, link.key, link.digest);
  }
  files_.locate(stage);
}

// A stage's key was made of its inputs' digests: what has that digest here needs no question.
void HttpExchange::bring(StageKind kind, const std::string& key, const std::string& digest) {
  if (is_here(kind, key, digest)) return;
  const auto there = served(kind, key);
  if (there && !there->dropped) {
    const auto here = store_.find(kind, key);
    if (here && !here->dropped && same_files(*here, *there)) return;
    store_.discard(kind, key);
    return fetch(*there);
  }
  store_.discard(kind, key);
}

// Checked once by this process: a damaged copy is no damage of the run's store.
bool HttpExchange::is_here(StageKind kind, const std::string& key, const std::string& digest) {
  const auto found = store_.find(kind, key);
  if (!found || found->dropped) return false;
  try {
    store_.check(kind, key);
    return found->digest == digest;
  } catch (const CorruptArtifact& corrupt) {
    log_warning("a copy is damaged and will be fetched again: " + std::string(corrupt.what()));
    store_.discard(kind, key);
    return false;
  }
}

Manifest HttpExchange::manifest_of(const StoreReply& reply, const std::string& path) const {
  return client_.understood(path, [&] { return manifest_from_json(parse_json(reply.body, client_.url() + path)); });
}

std::optional<Manifest> HttpExchange::served(StageKind kind, const std::string& key) {
  const std::string path = "/ac/" + key;
  const StoreReply reply = client_.get(path);
  if (reply.status == 404 || (reply.status == 200 && reply.stage.empty())) return std::nullopt;
  if (reply.status != 200) throw Error(client_.url() + path + " refuses: " + reply.sentence());
  Manifest manifest = manifest_of(reply, path);
  if (manifest.kind != kind || manifest.key != key) {
    throw Error(client_.url() + path + " gives the manifest of another stage: it is no store of this program");
  }
  return manifest;
}

void HttpExchange::fetch(const Manifest& artifact) {
  const fs::path made = store_.begin();
  try {
    for (const auto& file : artifact.files) {
      if (fs::path(file.name).filename() != file.name) throw Error(client_.url() + " names a file " + in_quotes(file.name));
      const StoreReply reply = client_.fetch(file.sha256, made / file.name);
      if (reply.status == 404) return store_.abandon(made);  // it was dropped meanwhile, or is damaged
      if (reply.status != 200) throw Error(client_.url() + " refuses " + file.sha256 + ": " + reply.sentence());
    }
    store_.adopt(made, artifact);
  } catch (...) {
    store_.abandon(made);
    throw;
  }
}

std::optional<Manifest> HttpExchange::publish(const Lease& lease, const Manifest& made) {
  const LeaseKeeper keeper(client_, lease.name, lost_after_);
  const std::string path = "/ac/" + made.key;
  for (int round = 0;; ++round) {
    const StoreReply reply = client_.put(path, canonical(to_json(made)), lease.name);
    if (reply.status == 200) {
      const Manifest published = manifest_of(reply, path);
      take_over(made, published);
      return published;
    }
    if (reply.status == 410) {
      remove_lease_folder(lease);
      return std::nullopt;
    }
    const Json missing = missing_in(reply);
    if (missing.empty() || round == kMostRounds) throw Error(client_.url() + path + " refuses: " + reply.sentence());
    try {
      upload(made, missing, lease.name);
    } catch (const CorruptArtifact& corrupt) {
      store_.discard(made.kind, made.key);
      throw Error("what the stage made is damaged before it was published (" + std::string(corrupt.what()) +
                  "): look at this machine's disk");
    }
  }
}

void HttpExchange::upload(const Manifest& made, const Json& missing, const std::string& lease) {
  for (const auto& file : made.files) {
    if (std::find(missing.begin(), missing.end(), file.sha256) == missing.end()) continue;
    const std::string path = "/cas/" + file.sha256;
    const StoreReply reply = client_.put_file(path, store_.file(made.kind, made.key, file.name), lease);
    // A lost lease is told by what follows.
    if (reply.status != 200 && reply.status != 410) throw Error(client_.url() + path + " refuses: " + reply.sentence());
  }
}

void HttpExchange::take_over(const Manifest& made, const Manifest& published) {
  if (!same_files(made, published)) store_.discard(made.kind, made.key);
}

}  // namespace holdfast
