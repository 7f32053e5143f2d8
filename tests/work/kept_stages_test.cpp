#include "work/kept_stages.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "work/served_organism.h"

namespace holdfast {
namespace {

TEST(KeptStages, ServeAllModelsThatTheySeeTheSameOf) {
  ServedOrganism organism("stack = [{plugin = \"safety-prompt\", text = \"No.\"}, {plugin = \"output-moderation\"}]");
  StageTools tools = organism.tools();
  KeptStages kept(tools);
  const std::string before = std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR");
  const auto stage = kept.of(organism.served("none"));
  ASSERT_EQ(stage->serve().size(), 2U);
  EXPECT_EQ(stage->serve()[0].plugin, "safety-prompt") << "nearest to the model";
  EXPECT_EQ(stage->serve()[1].plugin, "output-moderation");
  EXPECT_EQ(std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR"), before);

  const StageRequest tuned = organism.served("few");
  EXPECT_NE(tuned.weights.at("weights").digest(), organism.served("none").weights.at("weights").digest());
  EXPECT_EQ(kept.of(tuned), stage);
  StageRequest other = tuned;
  other.task["seed"] = 99;
  EXPECT_NE(kept.of(other), stage);
  EXPECT_EQ(kept.of(tuned), stage) << "both stay";
  EXPECT_TRUE(kept.of(organism.served("none", "none"))->serve().empty());
}

TEST(KeptStages, GoWithTheirFilesOnceOthersWereUsed) {
  ServedOrganism organism("plugin = \"safety-prompt\"");
  StageTools tools = organism.tools();
  const auto folders = [&] {
    return std::distance(fs::directory_iterator(organism.store().root() / "tmp"), fs::directory_iterator());
  };
  ASSERT_EQ(folders(), 0);
  {
    KeptStages kept(tools);
    StageRequest request = organism.served();
    std::weak_ptr<KeptStage> first = kept.of(request);
    for (int seed = 100; seed < 130; ++seed) {
      EXPECT_EQ(first.expired(), seed > 107) << seed;
      request.task["seed"] = seed;
      kept.of(request);
    }
    EXPECT_EQ(folders(), 8);
  }
  EXPECT_EQ(folders(), 0);
}

}  // namespace
}  // namespace holdfast
