// What a client sends to a served store, behind the HTTP: the verb of a question to its queue, a line end and the question. For
// the verb "publish" there is a manifest (PUT /ac/<key> under a lease), for "sources" what a worker was told, whose files it
// asks for.
#include <unistd.h>

#include <memory>

#include "base/digest.h"
#include "base/untrusted.h"
#include "fuzz/fuzz.h"
#include "queue/directory_queue.h"
#include "remote/leases.h"
#include "remote/named_sources.h"
#include "remote/publishing.h"
#include "remote/queue_messages.h"
#include "remote/queue_service.h"
#include "remote/refusal.h"

namespace holdfast::fuzz {
namespace {

const std::string kKey(64, 'a');
const std::string kContent = "{}\n";
// As a run posts them: one is ready, and one is leased to the worker "w-1". The seeds name them.
const std::string kLease = "2000.1000.500.more.cpu.none.leased~1~0~w-1";

Posting posting(const std::string& id) {
  const Json stage = {{"key", kKey}, {"kind", "collect"}, {"document", {{"kind", "collect"}}}};
  return {id, 2, 1, 0.5, false, "cpu", "", {{"stages", {stage}}}, 60};
}

// In memory, where there is such a folder; a process that had the same number may have left one.
fs::path empty_folder() {
  const fs::path memory = "/dev/shm";
  const fs::path folder = (fs::is_directory(memory) ? memory : fs::temp_directory_path()) /
                          ("holdfast_store_request." + std::to_string(::getpid()));
  fs::remove_all(folder);
  return folder;
}

/// A store that is served.
class Served {
 public:
  Served() : root_(empty_folder()), blobs_(root_), publishing_(root_, blobs_), service_(root_) {
    DirectoryQueue queue(root_ / kQueue);
    queue.post(posting("leased"));
    queue.take(queue.ready().at(0), "w-1", 60);
    queue.post(posting("ready"));
    const auto upload = blobs_.begin();
    upload->write(kContent.data(), kContent.size());
    blobs_.keep(*upload, upload->sha256());
  }
  ~Served() { fs::remove_all(root_); }

  void answer(const std::string& verb, const Json& question) { canonical(service_.answer(verb, question)); }

  void publish(const std::string& text) {
    auto manifest = manifest_in(text);
    if (!manifest) return;
    const std::string written = canonical(to_json(*manifest));
    const auto read = manifest_in(written);
    expect(read && canonical(to_json(*read)) == written, "a manifest that is written reads the same");
    const Lease lease = lease_named(root_, kLease);
    canonical(to_json(publishing_.publish(lease, service_.work_of(lease), kKey, std::move(*manifest))));
    expect(publishing_.find(kKey).has_value(), "what was published is there");
  }

 private:
  const fs::path root_;
  Blobs blobs_;
  Publishing publishing_;
  QueueService service_;
};

// One that nothing was changed in serves the next input too.
std::unique_ptr<Served> served;

void ask(const std::string& verb, const std::string& body) {
  if (served == nullptr) served = std::make_unique<Served>();
  if (verb == "publish") return served->publish(body);
  const Json question = json_or_discarded(body);
  if (!question.is_object()) return;
  if (verb == "sources") {
    Json request = question;
    each_source(request, [](const NamedSource& source) { return source.location; });
    expect(request == question, "who moves no file changes nothing");
    return;
  }
  served->answer(verb, question);
  if (verb != "ready" && verb != "signs") served.reset();
}

void read(std::string_view input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string verb(input.substr(0, end));
  try {
    ask(verb, std::string(input.substr(std::min(end + 1, input.size()))));
  } catch (const Refusal& refusal) {
    expect(refusal.status >= 400 && refusal.status < 500 && !refusal.sentence.empty(), "a Refusal says what is wrong");
  } catch (const Json::exception&) {  // the server says that the question is not as it should be
  } catch (...) {
    served.reset();
    throw;
  }
}

const Added added("store_request", read);

}  // namespace
}  // namespace holdfast::fuzz
