// A queue in a folder that all see: a local one, or one on a file server. Every step is one rename of a folder, which has one
// winner; docs/cluster.md has the rules that make it hold on NFS.
//   ready/<posting>~<taken>~<lost>/    request.json
//   leased/<posting>~<taken>~<lost>~<worker>/    also beat.json, and artifacts in the making
//   ended/<id>/    ended.json
//   workers/<name>.json, runs/<name>.json    who is there
//   tmp/    on its way
#pragma once

#include "queue/queue.h"
#include "queue/silence.h"

namespace holdfast {

/// Where it lies in a store, and what workers print beside it.
inline constexpr const char* kQueue = "queue";
inline constexpr const char* kQueueLogs = "logs";

/// Where the lease of that name has its folder while it is held, in the queue there.
fs::path lease_folder(const fs::path& queue, const std::string& name);

class DirectoryQueue final : public Queue {
 public:
  /// Makes the folders. Throws Error when they cannot be written.
  explicit DirectoryQueue(fs::path root);

  void post(const Posting& posting) override;
  QueueView view() override;
  std::optional<Json> work_of(const LeaseView& lease) override;
  std::optional<Json> ends_of(const std::string& id) override;
  void forget(const std::string& id) override;
  bool withdraw(const std::string& id) override;

  std::vector<NamedPosting> ready() override;
  std::optional<Lease> take(const NamedPosting& posting, const std::string& worker, double lost_after) override;
  bool beat(const Lease& lease, const Beat& beat) override;
  bool finish(const Lease& lease, const Json& ends) override;
  void give_back(const Lease& lease) override;

  void sign(Party party, const std::string& name, const Beat& beat) override;
  void sign_off(Party party, const std::string& name) override;
  std::vector<Sign> signs(Party party) override;

 private:
  bool is_lost(const Lease& lease) const;
  [[noreturn]] void fail(const std::string& fault) const;
  [[noreturn]] void fail(const fs::path& place, int reason) const;
  fs::path temporary();
  void remove(const fs::path& place);
  void take_back_lost();
  void make_ready(const fs::path& leased, const std::string& posting);

  fs::path root_;
  Silence leases_, signs_;
  std::int64_t counter_ = 0;
};

}  // namespace holdfast
