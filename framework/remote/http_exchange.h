// How artifacts of a served store get into a worker's own store, and its artifacts out of there.
#pragma once

#include <string>

#include "remote/client.h"
#include "remote/fetched_files.h"
#include "run/pull.h"
#include "store/store.h"

namespace holdfast {

class HttpExchange final : public StoreExchange {
 public:
  /// `cache` is the folder of the worker's store. While much is moved, the lease is kept: by a beat before `lost_after` seconds
  /// are over.
  HttpExchange(StoreClient& client, const fs::path& cache, double lost_after);

  // Both throw StoreAway, too: whoever holds a lease then gives up, and no stage has failed.

  /// What the served store has not, or not whole, is left out: the stage says that it is gone, and the run makes it again.
  void bring(StageRequest& stage) override;
  /// Uploads what the served store has not. Where another worker's artifact was first, that one counts, here too.
  std::optional<Manifest> publish(const Lease& lease, const Manifest& made) override;

 private:
  void bring(StageKind kind, const std::string& key, const std::string& digest);
  bool is_here(StageKind kind, const std::string& key, const std::string& digest);
  Manifest manifest_of(const StoreReply& reply, const std::string& path) const;
  std::optional<Manifest> served(StageKind kind, const std::string& key);
  void fetch(const Manifest& artifact);
  void upload(const Manifest& made, const Json& missing, const std::string& lease);
  void take_over(const Manifest& made, const Manifest& published);

  StoreClient& client_;
  const double lost_after_;
  Store store_;
  FetchedFiles files_;
};

}  // namespace holdfast
