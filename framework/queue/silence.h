// How long something has not changed, by this process's own clock: clocks of other machines are not asked.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace holdfast {

class Silence {
 public:
  /// Seconds since that content of that name was first seen; 0 when it is new.
  double of(const std::string& name, const std::string& content);
  /// Forgets every name that was not asked for since the last call.
  void sweep();

 private:
  using Clock = std::chrono::steady_clock;
  struct Seen {
    std::string content;
    Clock::time_point since;
    bool asked = true;
  };
  std::map<std::string, Seen> seen_;
};

}  // namespace holdfast
