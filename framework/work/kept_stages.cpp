#include "work/kept_stages.h"

#include <algorithm>

#include "plugin/made_plugin.h"

namespace holdfast {
namespace {

constexpr std::size_t kMost = 8;

// All that stages see of a request: not the weights that are served, which many models have of their own.
std::string seen_by_stages(const StageRequest& request) {
  Json weights = Json::object();
  for (const auto& [role, ref] : request.weights) {
    if (role != "weights") weights[role] = to_json(ref);
  }
  return canonical({{"kind", to_string(request.kind)}, {"task", request.task}, {"weights", weights}});
}

}  // namespace

KeptStage::KeptStage(const StageRequest& request, StageTools& tools)
    : request_(request),
      temporary_(tools.store),
      context_(
          request_, [&tools](const WeightsRef& ref) { return tools.weights.get(ref); }, {}, {},
          KeptNumbers(tools.store.root() / kKeptNumbers)) {
  const TemporaryFiles files(temporary_.path());
  if (request_.kind == StageKind::kScreen) {
    screen_ = add(request_.task.at("plugin")).screen;
    return;
  }
  for (const auto& settings : request_.task.value("inner", Json::array())) {
    serve_.push_back({settings.at("name").get<std::string>(), add(settings).serve});
  }
  if (!request_.task.contains("plugin")) return;
  const Json& outermost = request_.task.at("plugin");
  serve_.push_back({outermost.at("name").get<std::string>(), add(outermost).serve});
}

DefenseStages& KeptStage::add(const Json& settings) {
  return made_.emplace_back(made_defense(settings, request_.task.at("folder").get<std::string>()));
}

std::shared_ptr<KeptStage> KeptStages::of(const StageRequest& request) {
  const std::string seen = seen_by_stages(request);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.seen == seen; });
  if (found != entries_.end()) {
    std::rotate(entries_.begin(), found, found + 1);
  } else {
    entries_.push_front({seen, std::make_shared<KeptStage>(request, tools_)});
    if (entries_.size() > kMost) entries_.pop_back();
  }
  return entries_.front().stage;
}

bool has_serve_stages(const StageRequest& served) { return served.task.contains("plugin"); }

}  // namespace holdfast
