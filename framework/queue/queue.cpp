#include "queue/queue.h"

#include "base/untrusted.h"

namespace holdfast {

Json to_json(const Beat& beat) { return {{"number", beat.number}, {"lost_after", beat.lost_after}, {"about", beat.about}}; }

Beat beat_from_json(const Json& json) {
  return {whole_number(json.at("number")), json.at("lost_after").get<double>(), json.at("about")};
}

}  // namespace holdfast
