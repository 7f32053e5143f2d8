// .eval_results/holdfast.yaml: figures beside the weights, in a Hugging Face model repository. The form has no place for an
// interval, so that it stands in the notes.
#include "report/notice/notice_formats.h"
#include "report/notice/notice_sentences.h"
#include "report/notice/notice_words.h"

namespace holdfast {
namespace {

constexpr char kDataset[] = "holdfast/probes";  // the form wants the name of a data set on the Hub; ours has none there

std::string quoted(const std::string& text) { return Json(text).dump(); }

std::string entry(const Notice& notice, const NoticeFigure& figure) {
  std::string text = std::string("- dataset:\n    id: ") + quoted(kDataset) + "\n    task_id: " + quoted(figure.metric) + "\n";
  text += "  value: " + Json(figure.measured->value).dump() + "\n";
  if (!notice.run.started.empty()) text += "  date: " + quoted(notice.run.started) + "\n";
  return text + "  notes: " +
         quoted(words_of_metric(figure.metric) + ": " + amount_with_interval(figure.metric, *figure.measured) +
                ", 95 % interval; " + "n " + std::to_string(figure.measured->n) + "; " + model_name(notice) + "; " +
                verdict_title(notice.verdict)) +
         "\n";
}

}  // namespace

void write_eval_results(const Notice& notice, const ReportSink& sink) {
  std::string text;
  for (const auto& figure : notice.figures) {
    if (figure.measured) text += entry(notice, figure);
  }
  if (!text.empty()) sink(".eval_results/holdfast.yaml", text);
}

}  // namespace holdfast
