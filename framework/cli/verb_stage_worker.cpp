#include "cli/verbs.h"
#include "work/worker.h"

namespace holdfast::cli {

void add_stage_worker(CLI::App& app) {
  app.add_subcommand("stage-worker", "Serves stages to a run that started it")->group("")->callback([] {
    if (const int code = serve_worker(); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace holdfast::cli
