// Work that a run posts and workers take, wherever they are. A run knows what is ready; workers know what they can do; neither
// asks the other. What is taken is leased: its worker shows a beat, and who shows none loses it to whoever takes it next.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "queue/posting.h"

namespace holdfast {

/// Work that a worker holds.
struct Lease {
  std::string name;
  std::string id;  // of the posting
  std::string worker;
  std::int64_t token = 0;  // grows with each time that the posting is taken
  fs::path folder;         // where an artifact in the making must lie: once the lease is lost, nothing in it can be published
  Json work;
};

/// What its holder shows.
struct Beat {
  std::int64_t number = 0;  // grows
  double lost_after = 60;   // seconds without another beat, by the clock of whoever looks
  Json about = Json::object();
};
Json to_json(const Beat& beat);
Beat beat_from_json(const Json& json);

struct LeaseView {
  std::string name;
  std::string worker;
  Takes takes;
  Json progress = Json::object();
};

/// What a run and its watchers see of a queue.
struct QueueView {
  std::map<std::string, Takes> ready;       // by the posting's id
  std::map<std::string, LeaseView> leased;  // by the posting's id
  std::vector<std::string> ended;           // ids, sorted
};

/// A worker, or a run, that showed a beat.
struct Sign {
  std::string name;
  double silent = 0;  // seconds since its beat changed, as far as this process has looked
  bool lost = false;  // it was silent for longer than it said it would be, or is known to be gone
  Json about = Json::object();
};

enum class Party { kRun, kWorker };

class Queue {
 public:
  virtual ~Queue() = default;

  // What a run does.
  /// Where work of that id is ready, taken or ended already, there are two then: who posts looks before.
  virtual void post(const Posting& posting) = 0;
  virtual QueueView view() = 0;
  /// What the worker was told that holds a lease, and how work ended: an answer a stage, as a worker process gives them.
  /// Nothing where it is gone.
  virtual std::optional<Json> work_of(const LeaseView& lease) = 0;
  virtual std::optional<Json> ends_of(const std::string& id) = 0;
  /// Removes the record of how it ended.
  virtual void forget(const std::string& id) = 0;
  /// Takes back a posting that nobody took. False where there is none.
  virtual bool withdraw(const std::string& id) = 0;

  // What a worker does.
  /// What is there to be taken; what silent workers held is made ready before.
  virtual std::vector<NamedPosting> ready() = 0;
  /// Nothing where another was faster.
  virtual std::optional<Lease> take(const NamedPosting& posting, const std::string& worker, double lost_after) = 0;
  /// False where the lease is lost.
  virtual bool beat(const Lease& lease, const Beat& beat) = 0;
  /// Ends the lease: what came of each stage. False where it was lost.
  virtual bool finish(const Lease& lease, const Json& ends) = 0;
  /// Ends it with the work undone, which is ready again.
  virtual void give_back(const Lease& lease) = 0;

  // What both do.
  virtual void sign(Party party, const std::string& name, const Beat& beat) = 0;
  virtual void sign_off(Party party, const std::string& name) = 0;
  virtual std::vector<Sign> signs(Party party) = 0;
};

}  // namespace holdfast
