// /v1/fine-tunes: jobs in the words of Together's client.
#include "service/job_plan.h"
#include "service/routes.h"
#include "service/together_objects.h"
#include "service/together_request.h"

namespace holdfast {
namespace {

Json together_object(const JobRecord& job, const Desk& desk) {
  try {
    const FileRecord file = desk.files.find(job.customer, job.ordered.training_file);
    return together_job(job, &file);
  } catch (const ApiError&) {  // it was deleted
    return together_job(job, nullptr);
  }
}

void create_tuning(Call& call, Desk& desk) {
  call.no_query();
  const JobRequest request = together_request(call.json());
  answer(call, together_object(desk.jobs.create(call.customer, plan_job(desk, call.customer, request)), desk));
}

void estimate(Call& call, Desk& desk) {
  call.no_query();
  const PlannedJob job = plan_job(desk, call.customer, together_estimate(call.json()));
  const std::int64_t tokens = tokens_to_train(desk, job);
  const double price = desk.accounts.price_of_training(tokens), limit = call.customer.limits.spend;
  const bool allowed = limit == 0 || desk.accounts.spent(call.customer.name) + price <= limit;
  answer(call, {{"estimation_available", true},
                {"allowed_to_proceed", allowed},
                {"estimated_train_token_count", tokens},
                {"estimated_eval_token_count", 0},
                {"estimated_total_price", price},
                {"user_limit", limit == 0 ? Json() : Json(limit)}});
}

void limits(Call& call, Desk& desk) {
  const Paging given = read_paging(call.query(), {.filters = {"model_name"}});
  const auto model = given.filters.find("model_name");
  if (model == given.filters.end()) throw wrong_field("model_name", "the address has no \"model_name\"", "missing_field");
  if (find_offer(desk.service, model->second) == nullptr) throw no_such_model(model->second);
  answer(call, together_limits(model->second, desk.scenario.finetune));
}

void list_tunings(Call& call, Desk& desk) {
  call.no_query();
  Json data = Json::array();
  for (const auto& job : desk.jobs.list(call.customer.name)) data.push_back(together_object(job, desk));
  answer(call, {{"data", std::move(data)}});
}

using Show = Json (*)(const JobRecord& job, Desk& desk);

void show(Call& call, Desk& desk, Show what) {
  call.no_query();
  answer(call, what(desk.jobs.find(call.customer.name, call.names[0]), desk));
}

void cancel(Call& call, Desk& desk) {
  call.no_query();
  call.no_body();
  answer(call, together_object(desk.jobs.cancel(call.customer.name, call.names[0]), desk));
}

}  // namespace

void add_together_routes(Routes& routes, Desk& desk) {
  const std::string jobs = "/v1/fine-tunes", job = jobs + "/{}";
  const auto shows = [&](const std::string& path, Show what) {
    routes.add({"GET", path, [&desk, what](Call& call) { show(call, desk, what); }});
  };
  routes.add({"POST", jobs, [&desk](Call& call) { create_tuning(call, desk); }});
  routes.add({"POST", jobs + "/estimate-price", [&desk](Call& call) { estimate(call, desk); }});
  routes.add({"GET", jobs + "/models/limits", [&desk](Call& call) { limits(call, desk); }});
  routes.add({"GET", jobs, [&desk](Call& call) { list_tunings(call, desk); }});
  routes.add({"POST", job + "/cancel", [&desk](Call& call) { cancel(call, desk); }});
  shows(job, [](const JobRecord& record, Desk& all) { return together_object(record, all); });
  shows(job + "/events", [](const JobRecord& record, Desk& all) { return together_events(all.jobs.events().all(record)); });
  shows(job + "/metrics", [](const JobRecord& record, Desk& all) { return together_metrics(all.jobs.events().all(record)); });
  shows(job + "/checkpoints", [](const JobRecord& record, Desk&) { return together_checkpoints(record); });
}

}  // namespace holdfast
