#include "plugin/library.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <fstream>

#include "base/params_state.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(HOLDFAST_BINARY_DIR) / "plugin_fixtures";

class LibraryTest : public testing::Test {
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

  static std::string reason(const fs::path& path) {
    try {
      load_library(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "loaded";
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / ("holdfast_library_" + std::to_string(getpid()));
};

TEST_F(LibraryTest, LoadsAStrippedPlugin) {
  const fs::path path = bring("marker", "stripped");
  const Plugin& plugin = load_library(path);
  EXPECT_EQ(plugin.kind, PluginKind::kAttack);
  EXPECT_EQ(plugin.name, std::string("marker"));
  EXPECT_EQ(plugin.revision, 3);
  EXPECT_EQ(&load_library(path), &plugin);
}

TEST_F(LibraryTest, RefusesAnotherAbiBeforeAnyOfItsCodeRuns) {
  const fs::path marker = folder_ / "marker.txt";
  setenv("HOLDFAST_TEST_MARKER", marker.c_str(), 1);
  const fs::path stale = bring("stale");
  EXPECT_THAT(reason(stale), AllOf(HasSubstr(stale.string()), HasSubstr("was built for holdfast_abi_api0_"),
                                   HasSubstr("this program is holdfast_abi_api" + std::to_string(HOLDFAST_PLUGIN_API) + "_"),
                                   HasSubstr("rebuild the plugin")));
  EXPECT_FALSE(fs::exists(marker));

  load_library(bring("marker", "good"));  // the same source: its constructor does run when it is loaded
  unsetenv("HOLDFAST_TEST_MARKER");
  EXPECT_TRUE(fs::exists(marker));
}

TEST_F(LibraryTest, RefusesAnotherTorch) {
  EXPECT_THAT(reason(bring("other-torch")),
              AllOf(HasSubstr("_torch1_99_7_"), HasSubstr("_torch" + std::to_string(TORCH_VERSION_MAJOR) + "_" +
                                                          std::to_string(TORCH_VERSION_MINOR) + "_")));
}

TEST_F(LibraryTest, RefusesALibraryWithoutTag) {
  const fs::path path = bring("untagged");
  EXPECT_EQ(reason(path), path.string() + " is not a holdfast plugin: it has no ABI tag");
}

TEST_F(LibraryTest, RefusesATagWithoutEntry) {
  const fs::path path = bring("without-entry");
  EXPECT_EQ(reason(path), path.string() + " is not a holdfast plugin: it does not define holdfast_plugin()");
}

TEST_F(LibraryTest, RefusesATextFile) {
  std::ofstream(folder_ / "notes.plugin.so") << std::string(500, 'n');
  EXPECT_EQ(reason(folder_ / "notes.plugin.so"), (folder_ / "notes.plugin.so").string() + " is not a shared library");
}

TEST_F(LibraryTest, RefusesAnEmptyFileAndABrokenLink) {
  std::ofstream(folder_ / "empty.plugin.so");
  fs::create_symlink(folder_ / "nowhere", folder_ / "link.plugin.so");
  EXPECT_THAT(reason(folder_ / "empty.plugin.so"), HasSubstr("empty.plugin.so is not a shared library"));
  EXPECT_THAT(reason(folder_ / "link.plugin.so"), HasSubstr("link.plugin.so"));
}

TEST_F(LibraryTest, RefusesEveryTruncation) {
  const fs::path path = bring("marker");
  const auto size = fs::file_size(path);
  for (const auto kept : {std::uintmax_t{63}, std::uintmax_t{64}, size / 4, size / 2, size - 1}) {
    fs::resize_file(path, kept);
    EXPECT_THAT(reason(path), AllOf(HasSubstr(path.string()), HasSubstr("shared library"))) << kept;
    fs::remove(path);
    bring("marker");
  }
}

TEST_F(LibraryTest, RefusesWhatDoesNotLoadWithTheLinkersReason) {
  const fs::path path = bring("unresolved");
  EXPECT_THAT(reason(path), AllOf(HasSubstr(path.string() + " does not load: "), HasSubstr("holdfast_defined_nowhere")));
}

TEST_F(LibraryTest, RefusesADescriptionThatIsNone) {
  const fs::path null = bring("null"), nameless = bring("nameless"), misnamed = bring("misnamed");
  EXPECT_EQ(reason(null), null.string() + " describes no plugin: holdfast_plugin() returned null");
  EXPECT_EQ(reason(nameless), nameless.string() + " describes a plugin without a name");
  EXPECT_THAT(reason(misnamed), AllOf(HasSubstr(misnamed.string()), HasSubstr("named \"Phrase_Filter\"")));
}

TEST_F(LibraryTest, LoadsAJudgeAndRefusesOneOfAnotherAbi) {
  const Plugin& judge = load_library(bring("faulty-judge"));
  EXPECT_EQ(judge.kind, PluginKind::kJudge);
  EXPECT_EQ(judge.name, std::string("faulty-judge"));
  Params params(std::make_shared<Params::State>());
  EXPECT_TRUE(judge.make_judge(params)->needs().served_model);
  EXPECT_THAT(reason(bring("stale-judge")), HasSubstr("was built for holdfast_abi_api0_"));
}

TEST_F(LibraryTest, RefusesADescriptionThatMakesNothing) {
  EXPECT_THAT(
      reason(bring("makes-nothing")),
      HasSubstr("describes plugin \"makes-nothing\" incompletely: use HOLDFAST_ATTACK, HOLDFAST_DEFENSE or HOLDFAST_JUDGE"));
}

TEST_F(LibraryTest, FilesAreThoseOfTheSuffixInTheOrderOfFolders) {
  const fs::path second = bring("marker", "b"), first = bring("untagged", "b"), other = bring("marker", "a");
  std::ofstream(folder_ / "b" / "README") << "not a plugin by name, so not looked at";
  EXPECT_THAT(plugin_files({folder_ / "b", folder_ / "a"}), ElementsAre(second, first, other));
}

TEST_F(LibraryTest, AMissingFolderIsAnError) {
  try {
    plugin_files({folder_ / "absent"});
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
