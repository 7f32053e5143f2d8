#include "plugin/registry.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <fstream>

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(HOLDFAST_BINARY_DIR) / "plugin_fixtures";

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path bring(const std::string& fixture, const std::string& under = "") {
    const fs::path target = folder_ / under / (fixture + ".plugin.so");
    fs::create_directories(target.parent_path());
    fs::copy_file(kFixtures / target.filename(), target);
    return target;
  }

  // The reason for refusing the only library of the folder.
  std::string reason() const {
    const Registry registry = Registry::load({folder_});
    EXPECT_TRUE(registry.loaded().empty());
    if (registry.refused().size() != 1) return "refused " + std::to_string(registry.refused().size());
    return registry.refused()[0].reason;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / ("holdfast_registry_" + std::to_string(getpid()));
};

TEST_F(RegistryTest, LoadsAStrippedPlugin) {
  bring("marker");
  const Registry registry = Registry::load({folder_});
  ASSERT_TRUE(registry.refused().empty()) << registry.refused()[0].reason;
  const Plugin* plugin = registry.find(PluginKind::kAttack, "marker");
  ASSERT_NE(plugin, nullptr);
  EXPECT_EQ(plugin->revision, 3);
  EXPECT_EQ(registry.find(PluginKind::kDefense, "marker"), nullptr);
  EXPECT_THAT(registry.names(PluginKind::kAttack), ElementsAre("marker"));
}

TEST_F(RegistryTest, RefusesAnotherAbiBeforeAnyOfItsCodeRuns) {
  const fs::path marker = folder_ / "marker.txt";
  setenv("HOLDFAST_TEST_MARKER", marker.c_str(), 1);
  const fs::path stale = bring("stale");
  EXPECT_THAT(reason(), AllOf(HasSubstr(stale.string()), HasSubstr("was built for holdfast_abi_api0_"),
                              HasSubstr("this program is holdfast_abi_api2_"), HasSubstr("rebuild the plugin")));
  EXPECT_FALSE(fs::exists(marker));

  bring("marker", "good");  // the same source: its constructor does run when it is loaded
  Registry::load({folder_ / "good"});
  unsetenv("HOLDFAST_TEST_MARKER");
  EXPECT_TRUE(fs::exists(marker));
}

TEST_F(RegistryTest, RefusesALibraryWithoutTag) {
  const fs::path path = bring("untagged");
  EXPECT_EQ(reason(), path.string() + " is not a holdfast plugin: it has no ABI tag");
}

TEST_F(RegistryTest, RefusesATagWithoutEntry) {
  const fs::path path = bring("without-entry");
  EXPECT_EQ(reason(), path.string() + " is not a holdfast plugin: it does not define holdfast_plugin()");
}

TEST_F(RegistryTest, RefusesATextFile) {
  std::ofstream(folder_ / "notes.plugin.so") << std::string(500, 'n');
  EXPECT_EQ(reason(), (folder_ / "notes.plugin.so").string() + " is not a shared library");
}

TEST_F(RegistryTest, RefusesAnEmptyFileAndABrokenLink) {
  std::ofstream(folder_ / "empty.plugin.so");
  fs::create_symlink(folder_ / "nowhere", folder_ / "link.plugin.so");
  const Registry registry = Registry::load({folder_});
  ASSERT_EQ(registry.refused().size(), 2U);
  EXPECT_THAT(registry.refused()[0].reason, HasSubstr("empty.plugin.so is not a shared library"));
  EXPECT_THAT(registry.refused()[1].reason, HasSubstr("link.plugin.so"));
}

TEST_F(RegistryTest, RefusesEveryTruncation) {
  const fs::path path = bring("marker");
  const auto size = fs::file_size(path);
  for (const auto kept : {std::uintmax_t{63}, std::uintmax_t{64}, size / 4, size / 2, size - 1}) {
    fs::resize_file(path, kept);
    EXPECT_THAT(reason(), AllOf(HasSubstr(path.string()), HasSubstr("shared library"))) << kept;
    fs::remove(path);
    bring("marker");
  }
}

TEST_F(RegistryTest, RefusesWhatDoesNotLoadWithTheLinkersReason) {
  const fs::path path = bring("unresolved");
  EXPECT_THAT(reason(), AllOf(HasSubstr(path.string() + " does not load: "), HasSubstr("holdfast_defined_nowhere")));
}

TEST_F(RegistryTest, RefusesADescriptionThatIsNone) {
  const fs::path null = bring("null", "null"), nameless = bring("nameless", "nameless"),
                 misnamed = bring("misnamed", "misnamed");
  const Registry registry = Registry::load({null.parent_path(), nameless.parent_path(), misnamed.parent_path()});
  EXPECT_TRUE(registry.loaded().empty());
  ASSERT_EQ(registry.refused().size(), 3U);
  EXPECT_EQ(registry.refused()[0].reason, null.string() + " describes no plugin: holdfast_plugin() returned null");
  EXPECT_EQ(registry.refused()[1].reason, nameless.string() + " describes a plugin without a name");
  EXPECT_THAT(registry.refused()[2].reason, AllOf(HasSubstr(misnamed.string()), HasSubstr("named \"Phrase_Filter\"")));
}

TEST_F(RegistryTest, KeepsTheFirstOfTwoWithOneName) {
  const fs::path first = bring("marker", "first"), second = bring("marker", "second");
  const Registry registry = Registry::load({first.parent_path(), second.parent_path()});
  ASSERT_EQ(registry.loaded().size(), 1U);
  EXPECT_EQ(registry.loaded()[0].path, first);
  ASSERT_EQ(registry.refused().size(), 1U);
  EXPECT_EQ(registry.refused()[0].reason,
            second.string() + " is another \"marker\"; the one of " + first.string() + " is used");
}

TEST_F(RegistryTest, OneBadLibraryDoesNotStopTheOthers) {
  bring("marker");
  bring("untagged");
  std::ofstream(folder_ / "README") << "not a plugin by name, so not looked at";
  const Registry registry = Registry::load({folder_});
  EXPECT_EQ(registry.loaded().size(), 1U);
  EXPECT_EQ(registry.refused().size(), 1U);
}

TEST_F(RegistryTest, AMissingFolderIsAnError) {
  try {
    Registry::load({folder_ / "absent"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr((folder_ / "absent").string()), HasSubstr("No such file or directory")));
  }
}

TEST(PluginFolders, GivenThenEnvironmentThenBesideTheProgram) {
  setenv("HOLDFAST_PLUGIN_PATH", "/a::/b", 1);
  const auto folders = plugin_folders({"/given"});
  unsetenv("HOLDFAST_PLUGIN_PATH");
  EXPECT_THAT(folders, ElementsAre("/given", "/a", "/b", program_folder().parent_path() / "plugins"));
}

}  // namespace
}  // namespace holdfast
