// notice.cdx.json: a CycloneDX 1.7 bill of materials whose one component is the customised model, with its card.
#include <cmath>

#include "base/digest.h"
#include "judge/metrics.h"
#include "report/figures.h"
#include "report/notice/notice_digest.h"
#include "report/notice/notice_formats.h"
#include "report/notice/notice_sentences.h"
#include "report/notice/notice_words.h"

namespace holdfast {
namespace {

constexpr char kModel[] = "model";  // bom-refs
constexpr char kBase[] = "base";
constexpr int kDecimals = 6;  // the form has numbers as text

Json performance(const std::string& metric, const PooledMetric& value, const std::string& slice) {
  return {{"type", metric},
          {"value", fixed(value.value, kDecimals)},
          {"slice", slice + "; n " + std::to_string(value.n)},
          {"confidenceInterval", {{"lowerBound", fixed(value.low, kDecimals)}, {"upperBound", fixed(value.high, kDecimals)}}}};
}

Json change_performance(const NoticeFigure& figure, const Movement& moved) {
  const bool factor = is_log_scale(figure.metric);
  const auto scaled = [&](double value) { return fixed(factor ? std::exp(value) : value, kDecimals); };
  const Interval& change = moved.change->change;
  return {{"type", (factor ? "factor of " : "change of ") + figure.metric},
          {"value", scaled(change.value)},
          {"slice", "against the model " + words_of(moved.from) + "; Holm p " + p_text(moved.change->adjusted) + "; noise " +
                        noise_words(*moved.change) + "; " + outcome_words(*moved.change)},
          {"confidenceInterval", {{"lowerBound", scaled(change.low)}, {"upperBound", scaled(change.high)}}}};
}

Json performances(const Notice& notice) {
  Json list = Json::array();
  for (const auto& figure : notice.figures) {
    if (figure.measured) list.push_back(performance(figure.metric, *figure.measured, "this model"));
    for (const auto& moved : figure.movements) {
      if (moved.value) list.push_back(performance(figure.metric, *moved.value, words_of(moved.from)));
      if (moved.change) list.push_back(change_performance(figure, moved));
    }
  }
  return list;
}

Json tradeoffs(const Notice& notice) {
  Json lines = Json::array({"Usefulness. " + usefulness_text(notice)});
  const std::string caution = caution_text(notice);
  if (!caution.empty()) lines.push_back(caution);
  return lines;
}

Json considerations(const Notice& notice) {
  std::string advised;
  for (const auto& line : advice(notice)) advised += (advised.empty() ? "" : " ") + line;
  Json limitations = not_measured(notice);
  limitations.push_back(method_text(notice));
  return {{"technicalLimitations", std::move(limitations)},
          {"performanceTradeoffs", tradeoffs(notice)},
          {"ethicalConsiderations", Json::array({{{"name", verdict_title(notice.verdict) + ". " + verdict_text(notice)},
                                                  {"mitigationStrategy", advised}}})}};
}

Json datasets(const Notice& notice) {
  Json sets = Json::array();
  const auto* model = named_entry(notice.run, "models", notice.model);
  const Json probes = model == nullptr ? Json::array() : model->value("probes", Json::array());
  for (const auto& probe : probes) {
    Json set = {{"type", "dataset"}, {"name", "requests: " + file_shown(probe.value("location", ""))}};
    const std::string digest = probe.value("digest", "");
    if (!digest.empty()) set["contents"]["properties"] = Json::array({{{"name", "sha256"}, {"value", digest}}});
    sets.push_back(std::move(set));
  }
  return sets;
}

Json properties(const Notice& notice) {
  Json list = Json::array();
  for (const auto& fact : facts_of(notice)) list.push_back({{"name", "holdfast:" + fact.id}, {"value", fact.text}});
  for (const auto& weights : notice.weights) {
    list.push_back({{"name", "holdfast:weights-stage-key:seed-" + std::to_string(weights.seed)}, {"value", weights.key}});
  }
  return list;
}

Json base(const Notice& notice) {
  Json component = {{"type", "machine-learning-model"},
                    {"bom-ref", kBase},
                    {"name", notice.issuer.base_model.empty() ? notice.model : notice.issuer.base_model}};
  const auto digest = notice.definitions.find("model " + notice.model);
  if (digest != notice.definitions.end()) {
    component["description"] = "The base model. Its hash is of its files and the number format that they are read in.";
    component["hashes"] = Json::array({{{"alg", "SHA-256"}, {"content", digest->second}}});
  }
  return component;
}

Json component(const Notice& notice) {
  Json model = {
      {"type", "machine-learning-model"},
      {"bom-ref", kModel},
      {"name", model_name(notice)},
      {"description", verdict_title(notice.verdict) + ". " + verdict_text(notice)},
      {"pedigree", {{"ancestors", Json::array({base(notice)})}, {"notes", "Customisation: " + facts_of(notice)[1].text}}},
      {"modelCard",
       {{"modelParameters",
         {{"approach", {{"type", "supervised"}}}, {"task", "text-generation"}, {"datasets", datasets(notice)}}},
        {"quantitativeAnalysis", {{"performanceMetrics", performances(notice)}}},
        {"considerations", considerations(notice)}}},
      {"properties", properties(notice)}};
  if (!notice.issuer.organization.empty()) model["supplier"] = {{"name", notice.issuer.organization}};
  if (!notice.issuer.license.empty()) model["licenses"] = Json::array({{{"license", {{"name", notice.issuer.license}}}}});
  return model;
}

}  // namespace

void write_cyclonedx(const Notice& notice, const ReportSink& sink) {
  const Json program = {{"type", "application"}, {"name", "holdfast"}, {"version", notice.run.holdfast}};
  Json metadata = {{"tools", {{"components", Json::array({program})}}}, {"component", component(notice)}};
  if (!notice.run.started.empty()) metadata["timestamp"] = notice.run.started;
  Json bom = {{"$schema", "http://cyclonedx.org/schema/bom-1.7.schema.json"},
              {"bomFormat", "CycloneDX"},
              {"specVersion", "1.7"},
              {"version", 1},
              {"metadata", std::move(metadata)}};
  bom["serialNumber"] = "urn:uuid:" + uuid_of(sha256(canonical(bom)));
  sink("notice.cdx.json", bom.dump(2) + "\n");
}

}  // namespace holdfast
