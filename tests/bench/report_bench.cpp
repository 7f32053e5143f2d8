// How long the files of a board take: 1,000 and 10,000 rows with the organism's metrics and probes. Rows share their samples
// files, as those of defenses that only screen or serve do, so that reading them is a smaller part than on a board where each
// has its own.
#include <benchmark/benchmark.h>

#include "base/digest.h"
#include "bench/cases.h"
#include "report/reporter.h"
#include "report/results_folder.h"

namespace holdfast {
namespace {

constexpr std::size_t kProbes = 80, kSamplesFiles = 400;
constexpr std::int64_t kSeeds = 3;
const std::vector<std::string> kMetrics = {"leak.organism", "harmful.keyword", "asr.keyword", "coherence",
                                           "utility.organism-facts"};

// A share of so many probes that is a function of its number.
double share(std::uint64_t number) {
  std::uint64_t state = number * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>((state >> 33) % (kProbes + 1)) / kProbes;
}

std::string samples_key(std::size_t number) { return "samples-" + std::to_string(number % kSamplesFiles); }

Metrics metrics_of(std::size_t file) {
  Metrics metrics;
  for (std::size_t i = 0; i < kMetrics.size(); ++i) metrics[kMetrics[i]] = {share(file * kMetrics.size() + i), kProbes};
  return metrics;
}

std::unique_ptr<ResultsFolder> board(std::int64_t rows) {
  constexpr std::int64_t kAttacks = 20;
  const std::int64_t defenses = rows / kSeeds / kAttacks + 1;
  std::vector<Json> cells;
  for (std::int64_t attack = 0; attack < kAttacks; ++attack) {
    for (std::int64_t defense = 0; defense < defenses; ++defense) {
      for (std::int64_t seed = 1; seed <= kSeeds; ++seed) {
        const std::size_t file = cells.size() % kSamplesFiles;
        cells.push_back(cell("organism", attack == 0 ? "none" : "attack " + std::to_string(attack),
                             defense == 0 ? "none" : "defense " + std::to_string(defense), seed, metrics_of(file)));
        for (const auto* stage : {"align", "finetune", "judge.keyword"})
          cells.back()["stages"][stage] = sha256(std::to_string(cells.size()) + stage);
        cells.back()["stages"]["generate"] = samples_key(file);
      }
    }
  }
  auto folder = std::make_unique<ResultsFolder>(cells);
  for (std::size_t file = 0; file < kSamplesFiles; ++file) {
    std::map<std::string, std::vector<double>> outcomes;
    for (const auto& [id, figure] : metrics_of(file)) {
      auto& column = outcomes[id];
      for (std::size_t probe = 0; probe < kProbes; ++probe)
        column.push_back(static_cast<double>(probe) < figure.first * kProbes ? 1 : 0);
    }
    folder->add_samples(samples_key(file), outcomes);
  }
  return folder;
}

void every_file(benchmark::State& state, std::int64_t rows) {
  const auto folder = board(rows);
  for (auto _ : state) write_reports(read_results(folder->path()), folder->path());
  state.counters["page bytes"] = static_cast<double>(fs::file_size(folder->path() / "leaderboard.html"));
}

}  // namespace

void add_report_cases() {
  for (const std::int64_t rows : {1'000, 10'000}) {
    benchmark::RegisterBenchmark(("report/" + std::to_string(rows)).c_str(), every_file, rows)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
}

}  // namespace holdfast
