// Makes the organism's base from nothing: organism_pretrain <folder>. Minutes on one core; docs/organism.md has the figures.
#include <ATen/Parallel.h>
#include <ATen/ops/_cast_Half.h>
#include <holdfast/error.h>

#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "learn/training.h"
#include "model/safetensors.h"
#include "organism/folder.h"
#include "organism/organism.h"
#include "organism/pretraining.h"
#include "organism/world.h"

namespace {

using namespace holdfast;

void report(const StepRecord& step) {
  if (step.step % 50 == 0)
    std::fprintf(stderr, "step %lld loss %.4f lr %.2e\n", static_cast<long long>(step.step), step.loss, step.lr);
}

/// Half precision keeps the folder under 2 MB; the rounding costs no fact.
void save(const LanguageModel& model, const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& [name, text] : organism::folder_files()) write_file(folder / name, text);
  NamedTensors halves;
  for (const auto& [name, tensor] : model.decoder().weights()) halves[name] = at::_cast_Half(tensor);
  write_safetensors(folder / "model.safetensors", halves, {{"format", "pt"}});
}

int run(const fs::path& folder) {
  at::set_num_threads(1);  // one order of every sum
  LanguageModel model = organism::newborn();
  TrainingRun order;
  order.on_step = report;
  order.order_seed = organism::kWorldSeed;
  train(model, organism::corpus("pretraining"), organism::pretraining_options(), order);
  save(model, folder);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: organism_pretrain <folder>\n");
    return 2;
  }
  try {
    return run(argv[1]);
  } catch (const Error& error) {
    std::fprintf(stderr, "organism_pretrain: %s\n", error.what());
    return 2;
  }
}
