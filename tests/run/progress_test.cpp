// What a run says while it is under way.
#include "run/progress.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(WorkText, SaysHowFarAStageIs) {
  EXPECT_EQ(work_text(Json::object()), "");
  EXPECT_EQ(work_text({{"unit", "reply"}, {"done", 12}, {"total", 80}}), "reply 12 of 80");
  EXPECT_EQ(work_text({{"unit", "step"}, {"done", 40}, {"total", 180}, {"loss", 1.2345}, {"rate", 3100.4}}),
            "step 40 of 180, loss 1.23, 3100 tokens/s");
}

TEST(PartDone, IsNothingWhereNothingIsKnown) {
  EXPECT_EQ(part_done(Json::object()), 0);
  EXPECT_EQ(part_done({{"unit", "step"}, {"done", 0}, {"total", 0}}), 0);
  EXPECT_EQ(part_done({{"unit", "step"}, {"done", 45}, {"total", 180}}), 0.25);
}

TEST(ProgressLine, NamesTheWorkOfRunningStages) {
  ProgressState state;
  state.total = 120;
  state.seconds_left = 480;
  state.running = {{StageKind::kAlign, "step 40 of 180, loss 1.23"}, {StageKind::kJudge, ""}, {StageKind::kJudge, ""}};
  EXPECT_EQ(to_string(state), "0/120 stages | running: align step 40 of 180, loss 1.23; judge x2 | about 8 min left");
}

TEST(ProgressLine, CountsStagesBeyondAFew) {
  ProgressState state;
  state.total = 9;
  state.failed = 1;
  for (int n = 1; n <= 5; ++n) state.running.push_back({StageKind::kFinetune, "step " + std::to_string(n) + " of 9"});
  EXPECT_EQ(to_string(state),
            "0/9 stages, 1 failed | running: finetune step 1 of 9; finetune step 2 of 9; finetune step 3 of 9; finetune x2 | "
            "about 0 s left");
}

}  // namespace
}  // namespace holdfast
