#include "work/stage_context.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace holdfast {
namespace {

TEST(StageContext, KeepsAFigureThatIsNotFiniteAsNone) {
  StageContext context({{"seed", 1}}, {});
  context.report("nonsense", std::nan(""), 3);
  context.report("endless", std::numeric_limits<double>::infinity(), 3);
  context.report("fine", 0.5, 3);
  EXPECT_EQ(Json::parse(canonical(context.reports())), (Json{{"endless", {{"value", nullptr}, {"n", 3}}},
                                                             {"fine", {{"value", 0.5}, {"n", 3}}},
                                                             {"nonsense", {{"value", nullptr}, {"n", 3}}}}));
}

}  // namespace
}  // namespace holdfast
