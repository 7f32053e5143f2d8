// Every Eval Ever 0.3.0: one file of figures and one of replies, a line for each figure that a reply enters. Requests and
// replies are redacted, whatever the run kept: a reply stands there by its digest.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/digest.h"
#include "judge/metrics.h"
#include "report/metric_roles.h"
#include "report/notice/notice_digest.h"
#include "report/notice/notice_formats.h"
#include "report/notice/notice_sentences.h"
#include "report/notice/notice_words.h"
#include "report/statistics.h"
#include "results/sample.h"

namespace holdfast {
namespace {

constexpr char kSchema[] = "0.3.0";
constexpr char kRedacted[] = "[redacted]";
constexpr char kUnknown[] = "unknown";
constexpr double kConfidence = 0.95;
constexpr int kReplicates = 4000;  // of mean_interval (report/statistics.h)

// A name as one part of a path that every system takes.
std::string path_part(const std::string& name) {
  std::string part;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    part += plain || (c == '.' && !part.ends_with('.')) ? c : '-';
  }
  if (part.empty() || part == "data" || part.ends_with('.')) part += '-';  // "data" is the schema's own
  return part;
}

// "2026-11-26T08:28:01Z" in seconds since 1970.
std::string epoch(const std::string& utc) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(utc.c_str(), "%d-%d-%dT%d:%d:%dZ", &year, &month, &day, &hour, &minute, &second) != 6) return kUnknown;
  using namespace std::chrono;
  const sys_days days = std::chrono::year(year) / month / day;
  const auto time = days.time_since_epoch() + hours(hour) + minutes(minute) + seconds(second);
  return std::to_string(duration_cast<seconds>(time).count());
}

struct Bounds {
  Json least, most;
};

Bounds bounds_of(const std::string& metric) {
  if (is_log_scale(metric)) return {0, "Infinity"};
  if (metric.starts_with("score.rubric")) return {1, 5};
  if (is_score(metric) && !metric.starts_with("score.strongreject")) return {"-Infinity", "Infinity"};
  return {0, 1};
}

class Record {
 public:
  explicit Record(const Notice& notice)
      : notice_(notice),
        organization_(notice.issuer.organization.empty() ? "unstated" : path_part(notice.issuer.organization)),
        model_(path_part(notice.model + "." + notice.attack + "." + notice.defense)),
        id_("holdfast/" + model_id() + "/" + epoch(notice.run.started)),
        uuid_(uuid_of(digest_of(notice))) {}

  void write(const ReportSink& sink) const {
    const std::string samples = samples_text();
    Json file = aggregate();
    if (file.at("evaluation_results").empty()) return;
    if (!samples.empty()) file["detailed_evaluation_results"] = detail(samples);
    sink(folder() / (uuid_ + ".json"), file.dump(2) + "\n");
    if (!samples.empty()) sink(folder() / samples_name(), samples);
  }

 private:
  std::string model_id() const { return organization_ + "/" + model_; }
  fs::path folder() const { return fs::path("data") / "holdfast" / organization_ / model_; }
  std::string samples_name() const { return uuid_ + "_samples.jsonl"; }
  std::string result_id(const std::string& metric) const { return id_ + "#" + metric; }

  Json aggregate() const {
    Json file = {{"schema_version", kSchema},
                 {"evaluation_id", id_},
                 {"retrieved_timestamp", epoch(notice_.run.started)},
                 {"source_metadata", source()},
                 {"eval_library", {{"name", "holdfast"}, {"version", notice_.run.holdfast}}},
                 {"model_info", model_info()},
                 {"evaluation_results", Json::array()}};
    if (!notice_.run.started.empty()) file["evaluation_timestamp"] = epoch(notice_.run.started);
    for (const auto& figure : notice_.figures) {
      if (figure.measured) file["evaluation_results"].push_back(result(figure));
    }
    return file;
  }

  Json source() const {
    return {{"source_name", "Holdfast, scenario " + notice_.run.scenario.value("name", "")},
            {"source_type", "evaluation_run"},
            {"source_organization_name",
             notice_.issuer.organization.empty() ? std::string("not stated") : notice_.issuer.organization},
            {"evaluator_relationship", notice_.issuer.relationship}};
  }

  Json model_info() const {
    Json details = {{"deployment_type", "self_deployed"},
                    {"model_availability", kUnknown},
                    {"verdict", verdict_title(notice_.verdict) + ". " + verdict_text(notice_)}};
    for (const auto& fact : facts_of(notice_)) details[fact.id] = fact.text;
    for (const auto& weights : notice_.weights) details["weights_stage_key_seed_" + std::to_string(weights.seed)] = weights.key;
    return {{"name", model_name(notice_)},
            {"id", model_id()},
            {"inference_engine", {{"name", "holdfast"}, {"version", notice_.run.holdfast}}},
            {"additional_details", std::move(details)}};
  }

  Json result(const NoticeFigure& figure) const {
    return {{"evaluation_result_id", result_id(figure.metric)},
            {"evaluation_name", "holdfast." + figure.metric},
            {"source_data", {{"dataset_name", words_of_metric(figure.metric)}, {"source_type", "other"}}},
            {"metric_config", metric_config(figure.metric)},
            {"score_details", score_details(figure)},
            {"generation_config", generation()}};
  }

  Json metric_config(const std::string& metric) const {
    const auto [least, most] = bounds_of(metric);
    Json config = {{"evaluation_description", words_of_metric(metric)},
                   {"metric_id", "holdfast." + metric},
                   {"metric_name", metric},
                   {"metric_unit", is_share_metric(metric) ? "proportion" : "points"},
                   {"lower_is_better", lower_is_better(metric)},
                   {"score_type", "continuous"},
                   {"min_score", least},
                   {"max_score", most}};
    const Json scoring = llm_scoring(metric);
    if (!scoring.is_null()) config["llm_scoring"] = scoring;
    return config;
  }

  // Null where the judge is a rule.
  Json llm_scoring(const std::string& metric) const {
    const Json judges = notice_.run.scenario.value("judges", Json::array());
    for (const auto& judge : judges) {
      const std::string name = judge.value("name", "");
      const std::string id = judge.value("/settings/id"_json_pointer, "");
      const std::string model = judge_model(judge);
      if (model.empty() || after_dot(metric) != "." + name + (id.empty() ? "" : "-" + id)) continue;
      const bool local = judge.value("/settings/endpoint"_json_pointer, "").empty();
      const Json info = {
          {"name", model},
          {"id", model},
          {"additional_details", {{"deployment_type", local ? "self_deployed" : kUnknown}, {"model_availability", kUnknown}}}};
      return {{"judges", Json::array({{{"model_info", info}}})},
              {"input_prompt", "of Holdfast's judge " + name + ", revision " + judge.value("revision", Json(0)).dump()}};
    }
    return {};
  }

  Json score_details(const NoticeFigure& figure) const {
    const PooledMetric& measured = *figure.measured;
    Json details = {{"seeds", std::to_string(measured.seeds)},
                    {"least_of_a_seed", Json(measured.least).dump()},
                    {"most_of_a_seed", Json(measured.most).dump()}};
    for (const auto& moved : figure.movements) {
      if (moved.value) details[words_of(moved.from)] = amount_with_interval(figure.metric, *moved.value);
      if (moved.change) {
        details["change against: " + words_of(moved.from)] = change_words(*moved.change) + "; Holm p " +
                                                             Json(moved.change->adjusted).dump() + "; noise " +
                                                             noise_words(*moved.change) + "; " + outcome_words(*moved.change);
      }
    }
    return {{"score", measured.value}, {"details", std::move(details)}, {"uncertainty", uncertainty(figure)}};
  }

  static Json uncertainty(const NoticeFigure& figure) {
    const PooledMetric& measured = *figure.measured;
    const Grid& grid = measured.outcomes.grid;
    const bool share = are_shares(figure.metric, grid);
    Json interval = {{"lower", measured.low}, {"upper", measured.high}, {"confidence_level", kConfidence}};
    Json all = {{"num_samples", measured.n}};
    if (grid.empty()) {
      interval["method"] = "of replies taken as independent";
    } else if (share) {
      interval["method"] = "Wilson's score interval of the effective number of trials over seeds and requests";
      all["standard_error"] = {{"value", std::sqrt(variance_of_mean(grid).value)},
                               {"method", "two-way analysis of variance over seeds and requests"}};
    } else {
      interval["method"] = "bootstrap over seeds and requests";
      all["num_bootstrap_samples"] = kReplicates;
    }
    all["confidence_interval"] = std::move(interval);
    return all;
  }

  Json generation() const {
    const Json given = notice_.run.scenario.value("generate", Json::object());
    Json arguments = Json::object();
    if (given.contains("temperature")) arguments["temperature"] = given.at("temperature");
    if (given.contains("top_p")) arguments["top_p"] = given.at("top_p");
    if (given.contains("max_new_tokens")) arguments["max_tokens"] = given.at("max_new_tokens");
    return {{"generation_args", std::move(arguments)}};
  }

  std::string samples_text() const {
    std::string text;
    for (const auto& row : notice_.cells->rows) {
      const auto key = row.stages.find("generate");
      if (!row.ok() || key == row.stages.end()) continue;
      read_samples(samples_file(row.folder, key->second), [&](const Sample& sample) {
        for (const auto& figure : notice_.figures) {
          const auto outcome = sample.outcomes.find(figure.metric);
          const bool known = figure.measured && outcome != sample.outcomes.end() && std::isfinite(outcome->second);
          if (known) text += canonical(instance(row.seed, sample, figure.metric, outcome->second)) + "\n";
        }
      });
    }
    return text;
  }

  // A task that was measured on the weights has no reply.
  Json instance(std::int64_t seed, const Sample& sample, const std::string& metric, double outcome) const {
    Json replies = Json::array();
    if (sample.reply) replies.push_back("sha256:" + sample.reply->sha256);
    Json metadata = {{"seed", std::to_string(seed)}, {"kind", sample.kind}};
    if (sample.reply) metadata["reply_bytes"] = std::to_string(sample.reply->length);
    if (sample.reply && sample.reply->category) metadata["category"] = *sample.reply->category;
    const bool share = is_share_metric(metric);
    if (!share) metadata["is_correct"] = "not defined: the metric is a number";
    if (is_log_scale(metric)) metadata["score"] = "nats a token";
    return {{"schema_version", kSchema},
            {"evaluation_id", id_},
            {"model_id", model_id()},
            {"evaluation_name", "holdfast." + metric},
            {"evaluation_result_id", result_id(metric)},
            {"sample_id", sample.id},
            {"interaction_type", "single_turn"},
            {"input", {{"raw", kRedacted}, {"reference", Json::array()}}},
            {"output", {{"raw", std::move(replies)}}},
            {"answer_attribution", Json::array()},
            {"evaluation", {{"score", outcome}, {"is_correct", share && outcome == (lower_is_better(metric) ? 0.0 : 1.0)}}},
            {"metadata", std::move(metadata)}};
  }

  Json detail(const std::string& samples) const {
    return {{"format", "jsonl"},
            {"file_path", (folder() / samples_name()).generic_string()},
            {"hash_algorithm", "sha256"},
            {"checksum", sha256(samples)},
            {"total_rows", std::count(samples.begin(), samples.end(), '\n')}};
  }

  const Notice& notice_;
  std::string organization_, model_, id_, uuid_;
};

}  // namespace

void write_every_eval_ever(const Notice& notice, const ReportSink& sink) { Record(notice).write(sink); }

}  // namespace holdfast
