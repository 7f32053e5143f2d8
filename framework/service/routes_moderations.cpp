// /v1/moderations: the scenario's moderator, asked as the protocol asks.
#include <array>

#include "service/chat_errors.h"
#include "service/chat_request.h"
#include "service/ids.h"
#include "service/routes.h"

namespace holdfast {
namespace {

constexpr std::array<const char*, 13> kCategories = {"harassment",
                                                     "harassment/threatening",
                                                     "hate",
                                                     "hate/threatening",
                                                     "illicit",
                                                     "illicit/violent",
                                                     "self-harm",
                                                     "self-harm/instructions",
                                                     "self-harm/intent",
                                                     "sexual",
                                                     "sexual/minors",
                                                     "violence",
                                                     "violence/graphic"};

// A moderator says yes or no, and not of what kind: what it would not take counts as illicit.
Json result(bool flagged) {
  Json result = {{"flagged", flagged},
                 {"categories", Json::object()},
                 {"category_scores", Json::object()},
                 {"category_applied_input_types", Json::object()}};
  for (const std::string category : kCategories) {
    const bool of_it = flagged && category == "illicit";
    result["categories"][category] = of_it;
    result["category_scores"][category] = of_it ? 1.0 : 0.0;
    result["category_applied_input_types"][category] = Json::array({"text"});
  }
  return result;
}

void moderate(Call& call, Desk& desk) {
  call.no_query();
  const ModerationRequest request = moderation_request(call.json());
  const std::string& name = desk.service.moderator;
  if (name.empty()) {
    throw ApiError{.status = 404, .message = "nobody moderates here", .code = "no_moderator"};
  }
  if (!request.model.empty() && request.model != name) throw no_such_model(request.model);
  const StageRequest moderator = ready(desk.backend->moderator(name), name);
  Json results = Json::array();
  for (const bool flagged : asking([&] { return desk.backend->flagged(moderator, request.texts); })) {
    results.push_back(result(flagged));
  }
  answer(call, {{"id", new_id("modr-")}, {"model", name}, {"results", std::move(results)}});
}

}  // namespace

void add_moderation_routes(Routes& routes, Desk& desk) {
  routes.add({"POST", "/v1/moderations", [&desk](Call& call) { moderate(call, desk); }});
}

}  // namespace holdfast
