// The table of formats. A new one is a file in report/formats/ with its reporter, and its row and declaration here.
#include "report/reporter.h"

namespace holdfast {

std::unique_ptr<Reporter> make_markdown_reporter();
std::unique_ptr<Reporter> make_csv_reporter();
std::unique_ptr<Reporter> make_controls_reporter();
std::unique_ptr<Reporter> make_html_reporter();
std::unique_ptr<Reporter> make_terminal_reporter();
std::unique_ptr<Reporter> make_lm_eval_reporter();
std::unique_ptr<Reporter> make_inspect_reporter();
std::unique_ptr<Reporter> make_tensorboard_reporter();
std::unique_ptr<Reporter> make_figures_reporter();

const std::vector<ReportFormat>& report_formats() {
  static const std::vector<ReportFormat> formats = {
      {"markdown", ReportPlace::kResults, "leaderboard.md", "every table of every model and harm metric, for people",
       make_markdown_reporter},
      {"csv", ReportPlace::kResults, "leaderboard.csv, effects.csv, classes.csv, effort.csv, cost.csv",
       "a line a pooled metric, a line a defense's effect, a line a defense's place, a line a point of a sweep's effort "
       "curves, and what each part of a defense costs",
       make_csv_reporter},
      {"controls", ReportPlace::kResults, "controls.json", "the undefended controls, as another board's reference",
       make_controls_reporter},
      {"html", ReportPlace::kResults, "leaderboard.html", "a page of all boards in one file, with the story of each cell",
       make_html_reporter},
      {"terminal", ReportPlace::kTerminal, "", "each model's main table, of one harm metric", make_terminal_reporter},
      {"lm-eval", ReportPlace::kFolder, "<model>/<attack>/<defense>/results_seed-<n>.json",
       "utility figures, a results file a cell in lm-eval's form", make_lm_eval_reporter},
      {"inspect", ReportPlace::kFolder, "<model>/<attack>/<defense>/<time>_<cell>_<id>.json",
       "a log a cell that `inspect view` opens, a sample a reply", make_inspect_reporter},
      {"tensorboard", ReportPlace::kFolder, "<model>/<attack>/<defense>/seed-<n>/<stage>/events.out.tfevents.0.holdfast",
       "training curves, a run a training stage", make_tensorboard_reporter},
      {"figures", ReportPlace::kFolder, "<board>-<harm>-<picture>.{svg,csv,vl.json}",
       "pictures, each with its data and a Vega-Lite specification", make_figures_reporter},
  };
  return formats;
}

}  // namespace holdfast
