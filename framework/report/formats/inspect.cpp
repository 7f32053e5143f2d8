// Logs as inspect_ai reads them (version 2 of its JSON form): a log a cell, a sample a reply, a score an outcome of a judge.
#include <holdfast/error.h>

#include <algorithm>
#include <cmath>

#include "base/digest.h"
#include "report/file_names.h"
#include "report/reporter.h"
#include "results/sample.h"

namespace holdfast {
namespace {

constexpr int kLogVersion = 2;
// Who reads a log's head alone reads up to the samples, and expects the rest before them in this order.
constexpr const char* kFields[] = {"version", "status", "eval", "plan", "results", "stats", "error", "samples"};
// `inspect view` lists a JSON file when its name begins with a time, and a log must have one. The same rows give the same
// bytes, so that it is no time of ours.
constexpr char kTime[] = "1970-01-01T00:00:00+00:00";
constexpr char kTimeInName[] = "1970-01-01T00-00-00+00-00";

// "leak.organism" is the judge organism's, "asr.keyword-list-1a" the judge keyword-list-1a's.
std::string judge_of(const std::string& metric) {
  const auto dot = metric.find('.');
  return dot == std::string::npos ? metric : metric.substr(dot + 1);
}

Json named(const std::string& name, double value) { return {{"name", name}, {"value", value}}; }

Json scores(const CellRow& row) {
  Json all = Json::array();
  for (const auto& [id, figure] : row.metrics) {
    if (!std::isfinite(figure.value)) continue;
    Json metrics = {{"mean", named("mean", figure.value)}};
    if (std::isfinite(figure.low)) metrics["low95"] = named("low95", figure.low);
    if (std::isfinite(figure.high)) metrics["high95"] = named("high95", figure.high);
    all.push_back({{"name", id}, {"scorer", judge_of(id)}, {"scored_samples", figure.n}, {"metrics", std::move(metrics)}});
  }
  return all;
}

Json sample_scores(const Sample& sample) {
  Json all = Json::object();
  for (const auto& [id, outcome] : sample.outcomes) {
    if (!std::isnan(outcome)) all[id] = {{"value", outcome}};
  }
  return all;
}

Json message(const std::string& role, const std::string& content) { return {{"role", role}, {"content", content}}; }

std::string redacted(const SampleReply& reply) {
  return "[reply of " + std::to_string(reply.length) + " bytes, SHA-256 " + reply.sha256 + "]";
}

// Of a task that was measured on the weights there is neither prompt nor reply.
Json sample_log(const Sample& sample, const std::string& model, bool full) {
  Json log = {{"id", sample.id},
              {"epoch", 1},
              {"input", "[prompt of " + sample.id + "]"},
              {"target", ""},
              {"messages", Json::array()},
              {"output", {{"model", model}, {"choices", Json::array()}}},
              {"scores", sample_scores(sample)},
              {"metadata", {{"kind", sample.kind}}},
              {"store", Json::object()},
              {"events", Json::array()},
              {"model_usage", Json::object()},
              {"attachments", Json::object()}};
  if (!sample.reply) return log;
  log["metadata"]["reply_sha256"] = sample.reply->sha256;
  log["metadata"]["reply_length"] = sample.reply->length;
  if (sample.reply->category) log["metadata"]["category"] = *sample.reply->category;
  Json asked = Json::array();
  std::string reply = redacted(*sample.reply);
  if (full) {
    for (const auto& turn : sample.reply->text->prompt) asked.push_back(message(turn.at("role"), turn.at("content")));
    reply = sample.reply->text->reply;
    log["input"] = asked;
  } else {
    asked.push_back(message("user", log.at("input")));
  }
  log["messages"] = std::move(asked);
  log["messages"].push_back(message("assistant", reply));
  log["output"]["completion"] = reply;
  log["output"]["choices"] = Json::array({{{"message", message("assistant", reply)}, {"stop_reason", "stop"}}});
  return log;
}

Json samples(const RunRow& row, bool full) {
  Json all = Json::array();
  const auto key = row.stages.find("generate");
  if (!row.ok() || key == row.stages.end()) return all;
  const fs::path file = samples_file(row.folder, key->second);
  read_samples(file, [&](const Sample& sample) {
    if (full && sample.reply && !sample.reply->text) {
      throw Error(file.string() + " holds digests of the replies and not their text: run the scenario with --samples full, " +
                  "which computes nothing that is stored, or leave --samples out");
    }
    all.push_back(sample_log(sample, row.model, full));
  });
  return all;
}

// What the cell is beside its names.
Json metadata(const CellRow& row) {
  Json about = {{"attack", row.attack},
                {"defense", row.defense},
                {"seed", row.seed},
                {"threat_model", row.threat_model},
                {"defender_rows", row.defender_rows},
                {"reports", row.reports},
                {"stages", row.stages}};
  if (!row.sweep.empty()) about["sweep"] = row.sweep;
  if (!row.tried.empty()) about["tried"] = row.tried;
  return about;
}

// Logs of one id are tries of one task to Inspect, of which it shows the last: every cell has its own.
std::string id_of(const CellRow& row) {
  return sha256(canonical({row.model, row.attack, row.defense, row.seed})).substr(0, 22);
}

// <time>_<task>_<id>.json, as Inspect takes names apart.
std::string file_name(const CellRow& row) {
  std::string task = row.attack + "-x-" + row.defense + "-seed-" + std::to_string(row.seed);
  std::replace_if(
      task.begin(), task.end(), [](char c) { return c == '_' || c == '/' || c == ' '; }, '-');
  return kTimeInName + ("_" + task) + "_" + id_of(row) + ".json";
}

std::string text_of(const Json& log) {
  std::string text;
  for (const char* field : kFields) {
    if (log.contains(field)) text += (text.empty() ? "{" : ",") + Json(field).dump() + ":" + log.at(field).dump();
  }
  return text + "}\n";
}

Json log_of(const RunRow& row, const RunFacts& facts, bool full) {
  Json replies = samples(row, full);
  Json ids = Json::array();
  for (const auto& reply : replies) ids.push_back(reply.at("id"));
  Json log = {{"version", kLogVersion},
              {"status", row.ok() ? "success" : "error"},
              {"eval",
               {{"created", kTime},
                {"eval_id", id_of(row)},
                {"run_id", facts.scenario},
                {"task", row.attack + " x " + row.defense},
                {"task_id", id_of(row)},
                {"task_args", {{"attack", row.attack}, {"defense", row.defense}, {"seed", row.seed}}},
                {"dataset", {{"name", "probes"}, {"samples", ids.size()}, {"sample_ids", ids}, {"shuffled", false}}},
                {"model", row.model},
                {"model_args", Json::object()},
                {"config", {{"epochs", 1}}},
                {"packages", Json::object()},
                {"metadata", metadata(row)}}},
              {"plan", {{"name", "holdfast"}, {"steps", Json::array({{{"solver", "generate"}, {"params", Json::object()}}})}}},
              {"stats", {{"started_at", kTime}, {"completed_at", kTime}, {"model_usage", Json::object()}}}};
  if (row.ok()) {
    log["results"] = {{"total_samples", replies.size()}, {"completed_samples", replies.size()}, {"scores", scores(row)}};
  } else {
    log["error"] = {{"message", row.status + ": " + row.message}, {"traceback", ""}, {"traceback_ansi", ""}};
  }
  log["samples"] = std::move(replies);
  return log;
}

class InspectReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView& view, const ReportSink& sink) const override {
    for (const auto& cells : results.groups) {
      for (const auto& row : cells.rows) {
        sink(cell_folder(cells.model, cells.attack, cells.defense) / file_name(row),
             text_of(log_of(row, results.facts, view.full_samples)));
      }
    }
  }
};

}  // namespace

std::unique_ptr<Reporter> make_inspect_reporter() { return std::make_unique<InspectReporter>(); }

}  // namespace holdfast
