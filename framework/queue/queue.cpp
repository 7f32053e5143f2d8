#include "queue/queue.h"

namespace holdfast {

Json to_json(const Beat& beat) { return {{"number", beat.number}, {"lost_after", beat.lost_after}, {"about", beat.about}}; }

Beat beat_from_json(const Json& json) {
  return {json.at("number").get<std::int64_t>(), json.at("lost_after").get<double>(), json.at("about")};
}

}  // namespace holdfast
