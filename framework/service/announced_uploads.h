// Uploads as Together's client makes them: announced first, then sent to an address that nobody can guess, without a key.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "service/upload_form.h"

namespace holdfast {

struct AnnouncedUpload {
  std::string customer;
  std::string file_id;  // that the file will have
  UploadOrder order;
};

/// For any thread. What is announced is forgotten after an hour, and by a restart.
class AnnouncedUploads {
 public:
  /// The last part of the address. Throws ApiError (429) where the customer has announced too many.
  std::string add(AnnouncedUpload upload);
  std::optional<AnnouncedUpload> find(const std::string& address) const;
  void remove(const std::string& address);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    AnnouncedUpload upload;
    Clock::time_point until;
  };

  mutable std::mutex mutex_;
  std::map<std::string, Waiting> waiting_;
};

}  // namespace holdfast
