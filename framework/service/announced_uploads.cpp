#include "service/announced_uploads.h"

#include <algorithm>
#include <utility>

#include "service/api_error.h"
#include "service/ids.h"

namespace holdfast {
namespace {

constexpr std::chrono::hours kUploadPatience(1);
constexpr std::ptrdiff_t kMost = 100;  // of one customer
constexpr int kRetryUploadAfter = 60;

}  // namespace

std::string AnnouncedUploads::add(AnnouncedUpload upload) {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [now = Clock::now()](const auto& each) { return each.second.until < now; });
  const auto mine = std::count_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& each) { return each.second.upload.customer == upload.customer; });
  if (mine >= kMost)
    throw too_many("you have announced " + std::to_string(mine) + " files and sent none of them", kRetryUploadAfter);
  const std::string address = new_id("incoming-");
  waiting_[address] = {std::move(upload), Clock::now() + kUploadPatience};
  return address;
}

std::optional<AnnouncedUpload> AnnouncedUploads::find(const std::string& address) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(address);
  if (found == waiting_.end() || found->second.until < Clock::now()) return std::nullopt;
  return found->second.upload;
}

void AnnouncedUploads::remove(const std::string& address) {
  const std::lock_guard lock(mutex_);
  waiting_.erase(address);
}

}  // namespace holdfast
