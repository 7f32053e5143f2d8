// leaderboard.html.
#include "report/page/page.h"
#include "report/reporter.h"

namespace holdfast {
namespace {

class HtmlReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView& view, const ReportSink& sink) const override {
    sink("leaderboard.html", leaderboard_page(results, {view.page_samples, view.page_samples > 0 && view.full_samples}));
  }
};

}  // namespace

std::unique_ptr<Reporter> make_html_reporter() { return std::make_unique<HtmlReporter>(); }

}  // namespace holdfast
