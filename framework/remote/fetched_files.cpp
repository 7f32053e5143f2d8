#include "remote/fetched_files.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/process_name.h"
#include "base/remembered_digest.h"
#include "base/untrusted.h"
#include "store/store.h"

namespace holdfast {
namespace {

constexpr const char* kNoFolder = "no-folder";  // stands for the scenario's, where that is not on this machine

fs::path folder_above(const std::string& location) {
  const fs::path path = fs::path(location).lexically_normal();
  return path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
}

// What workers that were killed left.
void remove_stale_parts(const fs::path& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    std::error_code ignored;  // another worker may be removing it
    if (process_is_gone(entry.path().stem().string())) fs::remove_all(entry.path(), ignored);
  }
}

// Relative, and into no folder above.
bool stays_inside(const std::string& name) {
  const fs::path path(name);
  return !path.empty() && path.is_relative() && std::find(path.begin(), path.end(), "..") == path.end();
}

}  // namespace

/// What the server says of one source.
struct FetchedFiles::Served {
  std::string name;  // of file or folder
  bool folder = false;
  std::vector<StoredFile> files;
  std::string fault;

  // Where its files start, when it lies in that folder.
  fs::path begin(const fs::path& in) const { return folder ? in / name : in; }
  bool lies_in(const fs::path& in) const {
    return std::all_of(files.begin(), files.end(), [&](const StoredFile& file) {
      const fs::path path = begin(in) / file.name;
      std::error_code failure;
      return fs::file_size(path, failure) == file.bytes && !failure && remembered_sha256(path) == file.sha256;
    });
  }
};

namespace {

bool has_digest(const NamedSource& source) {
  try {
    return is_there(source.location) && content_digest(source.location) == source.digest;
  } catch (const Error&) {  // an empty folder, say
    return false;
  }
}

}  // namespace

FetchedFiles::FetchedFiles(StoreClient& client, fs::path folder) : client_(client), folder_(std::move(folder)) {
  remove_stale_parts(folder_);
}

std::string lease_name(const StageLease& lease) { return lease.folder.filename().string(); }

void FetchedFiles::locate(StageRequest& stage) {
  const std::string lease = stage.lease ? lease_name(*stage.lease) : "";
  Json request = to_json(stage);
  std::map<std::string, Served> served;  // by location, asked for once at most
  each_source(request, [&](const NamedSource& source) {
    const auto known = known_.find(source);
    if (known != known_.end() && is_there(known->second)) return known->second;
    return known_[source] = place_of(source, lease, served);
  });
  StageRequest located = stage_request_from_json(request);
  stage.task = std::move(located.task);
  stage.weights = std::move(located.weights);
  if (stage.task.contains("folder") && !is_there(stage.task.at("folder").get<std::string>())) {
    fs::create_directories(folder_ / kNoFolder);
    stage.task["folder"] = (folder_ / kNoFolder).string();
  }
}

std::string FetchedFiles::place_of(const NamedSource& source, const std::string& lease, std::map<std::string, Served>& served) {
  const bool is_file = source.kind == NamedSource::Kind::kFile;
  if (is_file && has_digest(source)) return source.location;
  const Served& there = served_of(source, lease, served);
  if (!is_file && is_there(source.location)) {
    // Without the list of its files, the stage itself finds out whether it is the right one.
    if (!there.fault.empty() || there.lies_in(folder_above(source.location))) return source.location;
  }
  if (!there.fault.empty()) throw Error(client_.url() + " cannot give " + source.location + ": " + there.fault);
  const fs::path folder = folder_ / source.digest;
  if (!there.lies_in(folder)) fetch(there, folder, lease);
  return (folder / there.name).string();
}

const FetchedFiles::Served& FetchedFiles::served_of(const NamedSource& source, const std::string& lease,
                                                    std::map<std::string, Served>& served) {
  if (served.empty()) {
    served = client_.understood("/queue/files", [&] { return all_served(client_.ask("files", {{"lease", lease}})); });
  }
  const auto found = served.find(source.location);
  if (found == served.end()) throw Error(client_.url() + " does not name " + source.location + ", which the stage reads");
  return found->second;
}

std::map<std::string, FetchedFiles::Served> FetchedFiles::all_served(const Json& answer) const {
  std::map<std::string, Served> served;
  const auto inside = [&](const Json& name) {
    if (!stays_inside(name.get<std::string>()))
      throw Error(client_.url() + " names a file " + in_quotes(name.get<std::string>()));
    return name.get<std::string>();
  };
  for (const auto& each : answer.at("sources")) {
    Served made{inside(each.at("name")), each.value("folder", false), {}, each.value("fault", "")};
    for (const auto& file : each.value("files", Json::array())) {
      made.files.push_back({inside(file.at("name")), whole_size(file.at("bytes")), file.at("sha256").get<std::string>()});
    }
    served.emplace(each.at("location").get<std::string>(), std::move(made));
  }
  return served;
}

// Into a folder of its own first, so that what lies at its place is whole.
void FetchedFiles::fetch(const Served& served, const fs::path& folder, const std::string& lease) {
  log_info("fetching " + served.name + " from " + client_.url());
  const fs::path made = folder_ / (process_name() + ".part");
  fs::remove_all(made);
  for (const auto& file : served.files) {
    const fs::path path = served.begin(made) / file.name;
    fs::create_directories(path.parent_path());
    const StoreReply reply = client_.fetch(file.sha256, path, lease);
    if (reply.status != 200)
      throw Error(client_.url() + " does not give " + served.name + "/" + file.name + ": " + reply.sentence());
  }
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(made)) {
    if (served.lies_in(folder)) break;  // another worker was faster
    const fs::path place = folder / entry.path().filename();
    if (entry.is_directory()) fs::remove_all(place);  // it is damaged
    fs::rename(entry.path(), place);
  }
  fs::remove_all(made);
}

}  // namespace holdfast
