// The queue of a served store, as its workers use it.
#pragma once

#include "queue/queue.h"
#include "remote/client.h"

namespace holdfast {

/// What only runs do throws Error: they work on the store's own folder. A lease has a folder in the worker's own store, which
/// is removed when it ends or is lost.
class HttpQueue final : public Queue {
 public:
  /// `cache` is the worker's store. Folders of leases whose worker is gone are removed.
  HttpQueue(StoreClient& client, const fs::path& cache);

  void post(const Posting& posting) override;
  QueueView view() override;
  std::optional<Json> work_of(const LeaseView& lease) override;
  std::optional<Json> ends_of(const std::string& id) override;
  void forget(const std::string& id) override;
  bool withdraw(const std::string& id) override;

  std::vector<NamedPosting> ready() override;
  std::optional<Lease> take(const NamedPosting& posting, const std::string& worker, double lost_after) override;
  /// Throws Error soon where the server is away: the next one may reach it.
  bool beat(const Lease& lease, const Beat& beat) override;
  bool finish(const Lease& lease, const Json& ends) override;
  void give_back(const Lease& lease) override;

  /// A sign that does not reach the server is no trouble: whatever else is asked says so.
  void sign(Party party, const std::string& name, const Beat& beat) override;
  void sign_off(Party party, const std::string& name) override;
  std::vector<Sign> signs(Party party) override;

 private:
  [[noreturn]] void refuse(const char* what) const;
  /// What `read` makes of the answer. Throws Error for one that it cannot read.
  template <typename Read>
  auto ask(const std::string& verb, const Json& question, const Read& read, std::optional<double> patience = {});

  StoreClient& client_;
  const fs::path folder_;  // of the leases' folders
};

/// Removes the lease's folder in the worker's store, and what lies in it.
void remove_lease_folder(const Lease& lease);

}  // namespace holdfast
