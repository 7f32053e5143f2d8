// Files outside the store that stages name by their paths, on a machine where those paths lead nowhere or to something else.
#pragma once

#include <map>
#include <string>

#include "remote/client.h"
#include "remote/named_sources.h"
#include "work/stage_request.h"

namespace holdfast {

/// The name of a lease of HttpQueue: that of its folder.
std::string lease_name(const StageLease& lease);

class FetchedFiles {
 public:
  /// `folder`: where they are kept, by digest.
  FetchedFiles(StoreClient& client, fs::path folder);

  /// Names each file that the stage reads where it lies on this machine: at its path, if what is there has its digest, else
  /// where it was fetched to. The stage runs under a lease of HttpQueue, whose folder has its name. Throws Error where a file
  /// cannot be had.
  void locate(StageRequest& stage);

 private:
  struct Served;

  std::string place_of(const NamedSource& source, const std::string& lease, std::map<std::string, Served>& served);
  const Served& served_of(const NamedSource& source, const std::string& lease, std::map<std::string, Served>& served);
  std::map<std::string, Served> all_served(const Json& answer) const;
  void fetch(const Served& served, const fs::path& folder, const std::string& lease);

  StoreClient& client_;
  const fs::path folder_;
  std::map<NamedSource, std::string> known_;  // where they lie
};

}  // namespace holdfast
