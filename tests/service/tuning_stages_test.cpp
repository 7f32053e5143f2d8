// Jobs with real stages, on the organism.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "organism/organism.h"
#include "plan/scenario_files.h"
#include "run/interruption.h"
#include "run/local_workers.h"
#include "service/tuning_fakes.h"

namespace holdfast {
namespace {

class TuningStages : public testing::Test {
 protected:
  TuningStages() {
    const std::string filter = "[[defense]]\nplugin = \"data-filter\"\nby = \"probe\"\nrows = 200\n";
    service = scenario_from(folder, "[[model]]\nname = \"organism\"\nsource = \"organism\"\n" + filter);
    service.service = ServiceSpec();
    service.service->offers = {{"filtered", "organism", "data-filter"}};
  }

  // Ordinary rows, and every fourth one harmful.
  TuningOrder order(std::int64_t epochs) {
    Dataset rows = organism::corpus("benign");
    rows.resize(30);
    const Dataset harmful = organism::corpus("harmful");
    for (std::size_t i = 0; i < 10; ++i) rows.insert(rows.begin() + static_cast<std::ptrdiff_t>(4 * i), harmful[i]);
    std::string text;
    for (const auto& row : rows) text += canonical(example_to_json(row)) + "\n";
    write_file(folder / "rows.jsonl", text);
    TuningOrder made{"filtered", resolve_data((folder / "rows.jsonl").string(), {}), 1, {}};
    made.options.lr = 1e-3;
    made.options.epochs = epochs;
    return made;
  }

  // A runner with processes of its own over that store.
  struct Running {
    Running(const Scenario& service, const fs::path& folder)
        : store(folder),
          workers({.program = kProgram, .store = folder, .own_output = false}, 1, 600),
          runner(service, store, workers, diary) {}
    Store store;
    LocalWorkers workers;
    Diary diary;
    TuningRunner runner;
  };

  static TuningSucceeded success(const TuningEnd& end) {
    if (const auto* failed = std::get_if<TuningFailed>(&end)) throw Error("it failed: " + failed->message);
    return std::get<TuningSucceeded>(end);
  }

  const Interruption quiet;  // writing to a process that is gone is no signal
  ScratchFolder folder;
  Scenario service;
};

std::size_t trainings(const Store& store) {
  std::size_t count = 0;
  store.each_training([&](const fs::path&, std::uint64_t) { ++count; });
  return count;
}

TEST_F(TuningStages, AStoppedTrainingGoesOnToTheSameWeights) {
  const TuningOrder ordered = order(100);
  {
    Running first(service, folder / "store");
    first.runner.submit("job", ordered);
    first.diary.await_progress("job");
    first.runner.stop("job");
    EXPECT_TRUE(std::holds_alternative<TuningStopped>(first.diary.end_of("job")));
  }
  const Store store(folder / "store");
  EXPECT_EQ(trainings(store), 1u);

  Running second(service, folder / "store"), whole(service, folder / "other");
  second.runner.submit("job", ordered);
  whole.runner.submit("job", ordered);
  const TuningSucceeded resumed = success(second.diary.end_of("job")), made = success(whole.diary.end_of("job"));
  EXPECT_EQ(resumed.model_digest, made.model_digest);
  EXPECT_EQ(resumed.trained_tokens, made.trained_tokens);
  EXPECT_EQ(resumed.curve.size(), made.curve.size());
  EXPECT_EQ(trainings(store), 0u);
  EXPECT_GT(made.trained_tokens, 0);
  EXPECT_LT(made.curve.back().loss, made.curve.front().loss);
  EXPECT_LT(made.rows_trained, 40);
  EXPECT_GE(made.rows_trained, 20);
}

TEST_F(TuningStages, TheEndKeepsWhatIsUnderWay) {
  const TuningOrder ordered = order(100000);
  {
    Running running(service, folder / "store");
    running.runner.submit("job", ordered);
    running.diary.await_progress("job");
  }
  EXPECT_EQ(trainings(Store(folder / "store")), 1u);
}

}  // namespace
}  // namespace holdfast
