// The pictures of every board and harm metric, as files.
#include "report/audit.h"
#include "report/charts/chart.h"
#include "report/charts/chart_style.h"
#include "report/metric_roles.h"
#include "report/reporter.h"

namespace holdfast {
namespace {

class FiguresReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView&, const ReportSink& sink) const override {
    for (const auto& board : boards(results)) {
      const Disqualified disqualified = reasons(audit(board));
      for (const auto& harm : harm_metrics(board)) {
        for (const auto& chart : charts(board, harm, disqualified)) {
          const std::string name = chart_subject(board, harm).id + "-" + chart.name;
          sink(name + ".svg", chart_file(chart.svg));
          sink(name + ".csv", chart.csv);
          sink(name + ".vl.json", chart.vega_lite);
        }
      }
    }
  }
};

}  // namespace

std::unique_ptr<Reporter> make_figures_reporter() { return std::make_unique<FiguresReporter>(); }

}  // namespace holdfast
