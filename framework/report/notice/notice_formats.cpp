// The table of formats of a notice. A new one is a file beside this one, with its row and declaration here.
#include "report/notice/notice_formats.h"

namespace holdfast {

void write_markdown_notice(const Notice& notice, const ReportSink& sink);
void write_every_eval_ever(const Notice& notice, const ReportSink& sink);
void write_cyclonedx(const Notice& notice, const ReportSink& sink);
void write_eval_results(const Notice& notice, const ReportSink& sink);
void write_in_toto(const Notice& notice, const ReportSink& sink);

const std::vector<NoticeFormat>& notice_formats() {
  static const std::vector<NoticeFormat> formats = {
      {"markdown", "notice.md", "one page in plain words, with Hugging Face front matter and fields of the EU's model form",
       write_markdown_notice},
      {"every-eval-ever", "data/holdfast/<organization>/<model>/<uuid>.json, ..._samples.jsonl",
       "Every Eval Ever 0.3.0: figures with their intervals, and a line a reply, redacted", write_every_eval_ever},
      {"cyclonedx", "notice.cdx.json", "CycloneDX 1.7: a bill of materials with the model's card", write_cyclonedx},
      {"eval-results", ".eval_results/holdfast.yaml", "figures as a Hugging Face model repository keeps them",
       write_eval_results},
      {"in-toto", "notice.intoto.json", "an unsigned in-toto statement of the test's result", write_in_toto},
  };
  return formats;
}

}  // namespace holdfast
