// controls.json.
#include "report/controls.h"
#include "report/reporter.h"

namespace holdfast {
namespace {

class ControlsReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView&, const ReportSink& sink) const override {
    sink("controls.json", controls_json(results).dump(1) + "\n");
  }
};

}  // namespace

std::unique_ptr<Reporter> make_controls_reporter() { return std::make_unique<ControlsReporter>(); }

}  // namespace holdfast
