// /v1/models
#include "service/routes.h"

namespace holdfast {
namespace {

Json offered(const OfferSpec& offer, const Desk& desk) {
  return model_object(offer.id, desk.folder.created(), desk.service.organization);
}

Json tuned(const JobRecord& job, const Desk& desk) {
  return model_object(job.fine_tuned_model, job.finished_at, desk.service.organization);
}

void list_models(Call& call, Desk& desk) {
  call.no_query();
  Json data = Json::array();
  for (const auto& offer : desk.service.offers) data.push_back(offered(offer, desk));
  for (const auto& job : desk.jobs.list(call.customer.name)) {
    if (job.is_served()) data.push_back(tuned(job, desk));
  }
  answer(call, {{"object", "list"}, {"data", std::move(data)}});
}

void retrieve_model(Call& call, Desk& desk) {
  call.no_query();
  const std::string& name = call.names[0];
  if (const auto* offer = find_offer(desk.service, name)) return answer(call, offered(*offer, desk));
  const auto job = desk.jobs.with_model(call.customer.name, name);
  if (!job) throw no_such_model(name);
  answer(call, tuned(*job, desk));
}

void remove_model(Call& call, Desk& desk) {
  call.no_query();
  const std::string& name = call.names[0];
  if (find_offer(desk.service, name) != nullptr) {
    throw ApiError{.status = 403,
                   .message = "the model " + in_quotes(name) + " is on offer to all, and not yours to delete",
                   .type = "permission_error",
                   .param = "model",
                   .code = "not_yours"};
  }
  desk.jobs.delete_model(call.customer.name, name);
  answer(call, {{"id", name}, {"object", "model"}, {"deleted", true}});
}

}  // namespace

void add_model_routes(Routes& routes, Desk& desk) {
  routes.add({"GET", "/v1/models", [&desk](Call& call) { list_models(call, desk); }});
  routes.add({"GET", "/v1/models/{}", [&desk](Call& call) { retrieve_model(call, desk); }});
  routes.add({"DELETE", "/v1/models/{}", [&desk](Call& call) { remove_model(call, desk); }});
}

}  // namespace holdfast
