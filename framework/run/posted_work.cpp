#include "run/posted_work.h"

#include <algorithm>
#include <type_traits>

#include "base/digest.h"
#include "base/untrusted.h"

namespace holdfast {
namespace {

std::string id_of(const std::vector<StageRequest>& stages) {
  if (stages.size() == 1) return stages.front().key;
  std::string keys;
  for (const auto& stage : stages) keys += stage.key + "\n";
  return sha256(keys);
}

// The kind of accelerator that the stage needs, and how many of them: "cuda:0-3" is "cuda:4". The CPU where there is one to
// fall back to.
std::string device_of(const StageRequest& stage) {
  for (const auto& [role, weights] : stage.weights) {
    const std::string& name = weights.device;
    const auto colon = name.find(':');
    const std::string kind = name.substr(0, colon);
    if (kind == "cpu" || kind == "auto") continue;
    const auto dash = colon == std::string::npos ? colon : name.find('-', colon);
    if (dash == std::string::npos) return kind;
    return kind + ":" + std::to_string(std::stoi(name.substr(dash + 1)) - std::stoi(name.substr(colon + 1)) + 1);
  }
  return "cpu";
}

std::string weights_of(const StageRequest& stage) {
  const auto weights = stage.weights.find("weights");
  return weights == stage.weights.end() ? "" : weights->second.digest();
}

Json to_json(const StageEnd& end) {
  return std::visit(
      [](const auto& each) -> Json {
        using End = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<End, StageDone>) {
          return {{"end", "done"}, {"digest", each.digest}, {"seconds", each.seconds}, {"bytes", each.bytes}};
        } else if constexpr (std::is_same_v<End, StageDamaged>) {
          return {{"end", "damaged"}, {"kind", to_string(each.kind)}, {"key", each.key}, {"message", each.message}};
        } else if constexpr (std::is_same_v<End, StageFailed>) {
          return {{"end", "failed"}, {"message", each.message}, {"broken", each.broken}};
        } else if constexpr (std::is_same_v<End, StageTimedOut>) {
          return {{"end", "timed out"}, {"limit", each.limit}};
        } else if constexpr (std::is_same_v<End, WorkerDied>) {
          return {{"end", "died"}, {"how", each.how}};
        } else {
          return {{"end", "stopped"}};
        }
      },
      end);
}

StageEnd stage_end_from_json(const Json& json) {
  const auto word = json.at("end").get<std::string>();
  const auto text = [&](const char* name) { return json.at(name).get<std::string>(); };
  if (word == "done") return StageDone{text("digest"), json.at("seconds").get<double>(), whole_size(json.at("bytes"))};
  if (word == "damaged") return StageDamaged{stage_kind(text("kind")), text("key"), text("message")};
  if (word == "failed") return StageFailed{text("message"), json.at("broken").get<bool>()};
  if (word == "timed out") return StageTimedOut{json.at("limit").get<double>()};
  if (word == "died") return WorkerDied{text("how")};
  return StageStopped{};
}

}  // namespace

Posting posting_of(const std::vector<StageRequest>& stages, const StageLimits& limits) {
  Posting posting;
  posting.id = id_of(stages);
  posting.device = device_of(stages.front());
  posting.weights = weights_of(stages.front());
  posting.finishes = true;
  Json list = Json::array();
  double behind = 0;  // of the longest way to the end
  for (const auto& stage : stages) {
    posting.seconds += stage.estimate.seconds;
    behind = std::max(behind, stage.estimate.path - stage.estimate.seconds);
    posting.gib = std::max(posting.gib, stage.estimate.gib);
    posting.finishes &= stage.kind == StageKind::kGenerate || stage.kind == StageKind::kJudge;
    list.push_back(to_json(stage));
  }
  posting.path = posting.seconds + behind;
  posting.work = {{"limits", to_json(limits)}, {"stages", std::move(list)}};
  return posting;
}

PostedWork posted_work(const Lease& lease) {
  PostedWork work;
  work.limits = stage_limits_from_json(lease.work.at("limits"));
  for (const auto& stage : lease.work.at("stages")) {
    work.stages.push_back(stage_request_from_json(stage));
    work.stages.back().lease = {lease.folder, lease.worker, lease.token};
  }
  return work;
}

std::vector<std::string> posted_keys(const Json& work) {
  std::vector<std::string> keys;
  for (const auto& stage : work.at("stages")) keys.push_back(stage.at("key").get<std::string>());
  return keys;
}

Json to_json(const std::map<std::string, StageEnd>& ends) {
  Json json = Json::object();
  for (const auto& [key, end] : ends) json[key] = to_json(end);
  return json;
}

std::map<std::string, StageEnd> stage_ends_from_json(const Json& json) {
  std::map<std::string, StageEnd> ends;
  for (const auto& [key, end] : json.items()) ends.emplace(key, stage_end_from_json(end));
  return ends;
}

}  // namespace holdfast
