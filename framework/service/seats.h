// How many answers that take their time, chats and streams of events, are under way: each holds a thread of the server.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace holdfast {

/// For any thread.
class Seats {
 public:
  /// At most so many of one customer, and of all.
  Seats(int most_of_one, int most) : most_of_one_(most_of_one), most_(most) {}

  /// A seat until the last copy is gone, which must be before this is. Throws ApiError (429, 503) where none is free.
  std::shared_ptr<void> take(const std::string& customer);

 private:
  void leave(const std::string& customer);

  const int most_of_one_, most_;
  std::mutex mutex_;
  int taken_ = 0;
  std::map<std::string, int> taken_by_;
};

}  // namespace holdfast
