// notice.intoto.json: an in-toto statement about the weights, for a pipeline that gates on it. Nothing is signed here: whoever
// vouches for it signs it with a tool of theirs.
#include "base/digest.h"
#include "report/notice/notice_formats.h"
#include "report/notice/notice_sentences.h"

namespace holdfast {
namespace {

const char* result_of(const Notice& notice) {
  if (notice.verdict == NoticeVerdict::kHeld && notice.lost.empty()) return "PASSED";
  return notice.verdict == NoticeVerdict::kEroded ? "FAILED" : "WARNED";
}

// What decides the weights is known by its digest whether or not the weights are still there.
Json subjects(const Notice& notice) {
  Json list = Json::array();
  for (const auto& [seed, key] : notice.weights) {
    list.push_back({{"name", model_name(notice) + ", seed " + std::to_string(seed)}, {"digest", {{"holdfastStageKey", key}}}});
  }
  return list;
}

}  // namespace

void write_in_toto(const Notice& notice, const ReportSink& sink) {
  const std::string result = result_of(notice);
  const std::string test = "safety after customising: " + verdict_title(notice.verdict);
  const Json scenario = {{"name", "scenario " + notice.run.scenario.value("name", "")},
                         {"digest", {{"sha256", sha256(canonical(notice.run.scenario))}}}};
  Json predicate = {{"result", result},
                    {"configuration", Json::array({scenario})},
                    {"passedTests", Json::array()},
                    {"warnedTests", Json::array()},
                    {"failedTests", Json::array()}};
  predicate[result == "PASSED" ? "passedTests" : result == "FAILED" ? "failedTests" : "warnedTests"].push_back(test);
  const Json statement = {{"_type", "https://in-toto.io/Statement/v1"},
                          {"subject", subjects(notice)},
                          {"predicateType", "https://in-toto.io/attestation/test-result/v0.1"},
                          {"predicate", std::move(predicate)}};
  if (!notice.weights.empty()) sink("notice.intoto.json", statement.dump(2) + "\n");
}

}  // namespace holdfast
