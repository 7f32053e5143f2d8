// Weights that workers of one machine hold once.
#include "work/weight_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/training.h"
#include "learn/weight_change.h"
#include "model/mapped_tensor.h"
#include "model/safetensors.h"
#include "work/weight_cache.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

constexpr std::uint64_t kAny = 1;  // bytes that are worth a file

class WeightFilesOf : public testing::Test {
 protected:
  static WeightsRef checkpoint(const fs::path& path) {
    return {path.string(), "cpu", "default", checkpoint_digest(path.string()), {}};
  }
  static WeightsRef gguf() { return checkpoint(fixtures::checkpoint("grouped.gguf")); }

  // What a worker has that starts now.
  std::shared_ptr<const LanguageModel> in_a_new_worker(const WeightsRef& weights, std::uint64_t least = kAny) {
    WeightCache cache(store_, least);
    return cache.get(weights);
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    store_.each_mapped([&](const fs::path& folder, std::uint64_t) { found.push_back(folder / "weights.safetensors"); });
    return found;
  }

  static bool mapped(const LanguageModel& model) {
    const auto& weights = model.decoder().weights();
    return std::all_of(weights.begin(), weights.end(), [](const auto& item) { return lies_in_file(item.second); });
  }

  static void expect_same(const LanguageModel& a, const LanguageModel& b) {
    ASSERT_EQ(a.decoder().weights().size(), b.decoder().weights().size());
    for (const auto& [name, weight] : a.decoder().weights()) {
      EXPECT_TRUE(at::equal(weight, b.decoder().weights().at(name))) << name;
    }
    const Conversation asked = {{"user", "Hello"}, {"assistant", "Hi there"}};
    EXPECT_TRUE(at::equal(a.mean_hidden({asked}), b.mean_hidden({asked})));
    EXPECT_EQ(a.encode_prompt({{"user", "Hello"}}), b.encode_prompt({{"user", "Hello"}}));
    EXPECT_EQ(a.stop_tokens(), b.stop_tokens());
  }

  ScratchFolder scratch_;
  Store store_{scratch_ / "store"};
};

TEST_F(WeightFilesOf, ACheckpointOfAnotherDtypeAreWrittenOnceAndMapped) {
  for (const char* name : {"grouped.gguf", "llama3.gguf", "gemma2.gguf"}) {
    const WeightsRef weights = checkpoint(fixtures::checkpoint(name));
    const auto loaded = load_model(weights.source, {});
    const auto first = in_a_new_worker(weights), second = in_a_new_worker(weights);
    EXPECT_TRUE(mapped(*first)) << name;
    EXPECT_TRUE(mapped(*second)) << name;
    EXPECT_EQ(second->decoder().own_bytes(), 0U);
    expect_same(*first, *loaded);
    expect_same(*second, *loaded);
  }
  EXPECT_EQ(files().size(), 3U);
}

TEST_F(WeightFilesOf, AFloat32FolderIsMappedAsItIs) {
  const auto model = in_a_new_worker(checkpoint(fixtures::checkpoint("grouped")));
  EXPECT_TRUE(mapped(*model));
  EXPECT_TRUE(files().empty());
}

TEST_F(WeightFilesOf, AFolderOfShortNumbersIsWidenedOnce) {
  const fs::path folder = scratch_ / "short";
  fs::copy(fixtures::checkpoint("grouped"), folder);
  TensorFile file = read_safetensors(folder / "model.safetensors");
  for (auto& [name, tensor] : file.tensors) tensor = tensor.to(at::kBFloat16);
  write_safetensors(folder / "model.safetensors", file.tensors, file.metadata);
  const WeightsRef weights = checkpoint(folder);
  const auto loaded = load_model(weights.source, {});
  for (int worker = 0; worker < 2; ++worker) {
    const auto model = in_a_new_worker(weights);
    EXPECT_TRUE(mapped(*model));
    expect_same(*model, *loaded);
  }
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(WeightFilesOf, AWorkerThatIsAloneAndSmallModelsAreNotWritten) {
  EXPECT_FALSE(mapped(*in_a_new_worker(gguf(), 0)));
  EXPECT_FALSE(mapped(*in_a_new_worker(gguf(), kWorthAFile)));
  EXPECT_TRUE(files().empty());
}

TEST_F(WeightFilesOf, OneThatIsDamagedOrShortIsMadeAgain) {
  const auto loaded = load_model(gguf().source, {});
  in_a_new_worker(gguf());
  const std::string whole = read_file(files().front());
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  for (const std::string& wrong : {flipped, whole.substr(0, whole.size() / 2), std::string()}) {
    write_file(files().front(), wrong);
    CaptureStderr();
    const auto model = in_a_new_worker(gguf());
    EXPECT_THAT(GetCapturedStderr(), HasSubstr("weights that workers share are damaged and are made again: "));
    expect_same(*model, *loaded);
    EXPECT_TRUE(mapped(*model));
    EXPECT_EQ(read_file(files().front()), whole);
  }
}

TEST_F(WeightFilesOf, OneThatIsRemovedUnderARunStaysWhereItIsMapped) {
  const auto loaded = load_model(gguf().source, {});
  in_a_new_worker(gguf());
  const auto model = in_a_new_worker(gguf());
  store_.remove_mapped(files().front().parent_path());
  EXPECT_TRUE(files().empty());
  expect_same(*model, *loaded);
  expect_same(*in_a_new_worker(gguf()), *loaded);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(WeightFilesOf, AStoreThatTakesNoneLeavesThemInMemory) {
  write_file(store_.root() / "mapped", "a file where the folder should be");
  const auto loaded = load_model(gguf().source, {});
  CaptureStderr();
  const auto model = in_a_new_worker(gguf());
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("weights stay in this worker's own memory, which others cannot share: "));
  expect_same(*model, *loaded);
  EXPECT_TRUE(fs::is_empty(store_.root() / "tmp"));
}

// What alignment left is what many stages start from; a tuning's weights are read by few.
TEST_F(WeightFilesOf, AlignedWeightsAreSharedAndTunedOnesAreNot) {
  const WeightsRef base = gguf();
  const auto parent = in_a_new_worker(base);
  const auto change = [&](StageKind kind, const std::string& key, const LanguageModel& before) {
    const auto after = before.share();
    after->set_weight("model.norm.weight", at::ones({parent->width()}) * static_cast<double>(key.size()));
    const fs::path made = store_.begin();
    write_weight_change(made / kChangeFile, before, *after);
    Manifest manifest;
    manifest.kind = kind;
    manifest.key = key;
    manifest.digest = "weights of " + key;
    return store_.commit(made, manifest);
  };
  WeightsRef aligned = base, tuned = base;
  const Manifest align = change(StageKind::kAlign, "align", *parent);
  aligned.chain.push_back({align.kind, align.key, align.digest});
  const auto first = in_a_new_worker(aligned);
  EXPECT_TRUE(mapped(*first));
  EXPECT_EQ(files().size(), 2U);
  tuned = aligned;
  const Manifest tune = change(StageKind::kFinetune, "finetune", *first);
  tuned.chain.push_back({tune.kind, tune.key, tune.digest});
  const auto second = in_a_new_worker(tuned);
  EXPECT_EQ(files().size(), 2U);
  EXPECT_EQ(second->decoder().own_bytes(), static_cast<std::uint64_t>(4 * parent->width()))
      << "but for what the tuning changed";
  expect_same(*second, *in_a_new_worker(tuned, 0));
  expect_same(*first, *in_a_new_worker(aligned, 0));
}

// In bytes, of the mappings of one file in a process.
struct Resident {
  std::int64_t all = 0, share = 0, dirty = 0;
};

Resident resident(const fs::path& file) {
  std::ifstream maps("/proc/self/smaps");
  Resident sum;
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string word;
    std::int64_t kib = 0;
    words >> word;
    if (word.find('-') != std::string::npos && !word.ends_with(":")) inside = line.find(file.string()) != std::string::npos;
    if (!inside || !(words >> kib)) continue;
    if (word == "Rss:") sum.all += 1024 * kib;
    if (word == "Pss:") sum.share += 1024 * kib;
    if (word == "Private_Dirty:") sum.dirty += 1024 * kib;
  }
  return sum;
}

double sum_of(const NamedTensors& weights) {
  double sum = 0;
  for (const auto& [name, weight] : weights) sum += weight.sum().item<double>();
  return sum;
}

TEST_F(WeightFilesOf, TwoProcessesHoldOneCopy) {
  const NamedTensors weights = {{"a", at::arange(1 << 20, at::kFloat)}};
  ASSERT_TRUE(MappedWeights(store_).put("digest", "float32", weights));
  const NamedTensors mine = *MappedWeights(store_).find("digest", "float32");
  const Resident alone = (sum_of(mine), resident(files().front()));
  int up[2], down[2];
  ASSERT_EQ(::pipe(up) + ::pipe(down), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const auto theirs = MappedWeights(store_).find("digest", "float32");
    const bool same = theirs && sum_of(*theirs) == sum_of(weights);  // which reads all of it
    if (::write(up[1], &byte, 1) != 1 || ::read(down[0], &byte, 1) < 0) ::_exit(2);
    ::_exit(same ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(::read(up[0], &byte, 1), 1);  // the other has it mapped, and has read all of it
  const Resident together = resident(files().front());
  ASSERT_EQ(::write(down[1], &byte, 1), 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_GE(alone.all, 4 << 20);
  EXPECT_GE(alone.share, alone.all * 9 / 10);
  EXPECT_LE(together.share, together.all * 6 / 10) << "each accounts for half of the pages";
  EXPECT_EQ(together.dirty, 0);
}

TEST_F(WeightFilesOf, SeveralProcessesMayMakeOneAtOnce) {
  const NamedTensors weights = {{"a", at::arange(1 << 16, at::kFloat)}};
  std::vector<pid_t> children;
  for (int number = 0; number < 4; ++number) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    Store own(store_.root());
    const auto made = MappedWeights(own).put("digest", "float32", weights);
    ::_exit(made && made->at("a")[77].item<float>() == 77 ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files().size(), 1U);
  EXPECT_TRUE(fs::is_empty(store_.root() / "tmp"));
  EXPECT_TRUE(at::equal(MappedWeights(store_).find("digest", "float32")->at("a"), weights.at("a")));
}

}  // namespace
}  // namespace holdfast
