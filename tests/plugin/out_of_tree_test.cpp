#include <gtest/gtest.h>

#include <cstdlib>

#include "base/params_state.h"
#include "fakes/context.h"
#include "plugin/library.h"

namespace holdfast {
namespace {

// Disabled by itself: package_test.cmake builds the template from an install prefix first and says where it lies.
TEST(OutOfTree, DISABLED_PluginWorks) {
  const char* folder = std::getenv("HOLDFAST_PLUGIN_PATH");
  ASSERT_NE(folder, nullptr);
  const Plugin& plugin = load_library(fs::path(folder) / "phrase-filter.plugin.so");

  Params params(std::make_shared<Params::State>());
  const DefenseStages stages = plugin.make_defense(params);
  fakes::FakeContext context;
  const Dataset rows = {{{{"user", "a"}, {"assistant", "Gladly: here is it."}}, {}},
                        {{{"user", "b"}, {"assistant", "No."}}, {}}};
  EXPECT_EQ(stages.screen->screen(rows, context), (Dataset{rows[1]}));
}

}  // namespace
}  // namespace holdfast
