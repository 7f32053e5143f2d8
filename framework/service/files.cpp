#include "service/files.h"

#include <algorithm>
#include <utility>

#include "base/untrusted.h"
#include "service/ids.h"

namespace holdfast {
namespace {

const std::string kFilePrefix = "file-";

}  // namespace

Files::Files(const StateFolder& folder, const Customers& customers) : folder_(folder) {
  for (const auto& customer : customers.all()) {
    each_object(folder.files(customer.name), kFilePrefix, [&](const Json& json) {
      FileRecord file = file_record_from_json(json);
      ++holders_[file.digest];
      files_[customer.name][file.id] = std::move(file);
    });
  }
}

std::string Files::new_file_id() { return new_id(kFilePrefix); }

std::int64_t Files::uploads_of(const std::string& customer) const {
  const auto found = files_.find(customer);
  if (found == files_.end()) return 0;
  return std::count_if(found->second.begin(), found->second.end(), [](const auto& each) { return each.second.rows > 0; });
}

FileRecord Files::add(const Customer& customer, Upload& upload, const std::string& filename, const std::string& purpose,
                      std::int64_t rows, const std::string& id) {
  FileRecord file{.id = id, .filename = filename, .purpose = purpose, .rows = rows};
  const std::lock_guard lock(mutex_);
  const std::int64_t most = customer.limits.files;
  if (most > 0 && uploads_of(customer.name) >= most) {
    throw over_quota("you have the " + std::to_string(most) + " files that you may have: delete some first");
  }
  return keep(customer.name, upload, std::move(file));
}

FileRecord Files::add(const std::string& customer, const std::string& content, const std::string& filename,
                      const std::string& purpose) {
  Upload upload(folder_.upload());
  upload.write(content.data(), content.size());
  const std::lock_guard lock(mutex_);
  return keep(customer, upload, {.filename = filename, .purpose = purpose});
}

FileRecord Files::keep(const std::string& customer, Upload& upload, FileRecord file) {
  if (file.id.empty()) file.id = new_file_id();
  file.order = next_order();
  file.created_at = unix_seconds();
  file.bytes = static_cast<std::int64_t>(upload.bytes());
  file.digest = upload.sha256();
  const fs::path place = folder_.content(file.digest);
  if (!is_there(place)) {
    sync_path(upload.path());
    upload.keep(place);
    sync_path(folder_.contents());
  }
  ++holders_[file.digest];
  try {
    write_file(folder_.files(customer) / (file.id + ".json"), canonical(to_json(file)) + "\n");
  } catch (...) {
    release_locked(file.digest);
    throw;
  }
  return files_[customer][file.id] = file;
}

FileRecord Files::find(const std::string& customer, const std::string& id, const std::string& param) const {
  const std::lock_guard lock(mutex_);
  const auto all = files_.find(customer);
  if (all != files_.end()) {
    if (const auto found = all->second.find(id); found != all->second.end()) return found->second;
  }
  throw no_such("file", id, param);
}

std::vector<FileRecord> Files::list(const std::string& customer) const {
  std::vector<FileRecord> files;
  {
    const std::lock_guard lock(mutex_);
    const auto all = files_.find(customer);
    if (all == files_.end()) return files;
    for (const auto& [id, file] : all->second) files.push_back(file);
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.order > b.order; });
  return files;
}

void Files::remove(const std::string& customer, const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto& files = files_[customer];
  const auto found = files.find(id);
  if (found == files.end()) throw no_such("file", id);
  fs::remove(folder_.files(customer) / (id + ".json"));
  const std::string digest = found->second.digest;
  files.erase(found);
  release_locked(digest);
}

void Files::hold(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  ++holders_[digest];
}

void Files::release(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  release_locked(digest);
}

void Files::release_locked(const std::string& digest) {
  const auto found = holders_.find(digest);
  if (found == holders_.end() || --found->second > 0) return;
  holders_.erase(found);
  std::error_code ignored;
  fs::remove(folder_.content(digest), ignored);
}

void Files::sweep() {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : fs::directory_iterator(folder_.contents())) {
    std::error_code ignored;
    if (!holders_.contains(entry.path().filename().string())) fs::remove(entry.path(), ignored);
  }
}

}  // namespace holdfast
