// When one of these fails, a type that crosses the plugin border has changed: bump HOLDFAST_PLUGIN_API in holdfast/abi.h, then
// correct the number here. A new or moved virtual function changes the border too and is not seen by sizeof.
#include <gtest/gtest.h>
#include <holdfast/attack.h>
#include <holdfast/dataset.h>
#include <holdfast/defense.h>
#include <holdfast/judge.h>
#include <holdfast/moderation.h>

namespace holdfast {
namespace {

static_assert(HOLDFAST_PLUGIN_API == 6);
static_assert(sizeof(Plugin) == 64);
static_assert(sizeof(DefenseStages) == 64);
static_assert(sizeof(ParamInfo) == 128);
static_assert(sizeof(Params) == 16);
static_assert(sizeof(Command) == 96);
static_assert(sizeof(Message) == 80);
static_assert(sizeof(Example) == 104);
static_assert(sizeof(Exchange) == 64);
static_assert(sizeof(Encoded) == 64);
static_assert(sizeof(Batch) == 112);
static_assert(sizeof(Taps) == 120);
static_assert(sizeof(GenerateOptions) == 40);
static_assert(sizeof(Generated) == 64);
static_assert(sizeof(TrainingOptions) == 224);
static_assert(sizeof(StepRecord) == 32);
static_assert(sizeof(Random) == 40);
static_assert(sizeof(JudgedReply) == 240);
static_assert(sizeof(JsonValue) == 40);
static_assert(sizeof(JsonTree) == 56);
static_assert(sizeof(Verdict) == 128);
static_assert(sizeof(JudgeNeeds) == 104);
static_assert(sizeof(AskOptions) == 296);
static_assert(sizeof(ModelAnswer) == 136);
static_assert(sizeof(ModerationAnswer) == 88);
static_assert(sizeof(TwoAnswers) == 104);
static_assert(sizeof(TwoLogProbs) == 16);
static_assert(sizeof(ReviewQuestion) == 168);
static_assert(sizeof(ReviewJudge) == 472);
static_assert(sizeof(HarmProbe) == 96);
static_assert(sizeof(Moderator) == 608);
static_assert(sizeof(GuardQuestion) == 80);
static_assert(sizeof(GuardReading) == 16);
static_assert(sizeof(DatasetFile) == 72);
static_assert(sizeof(Asking) == 96);

#define HOLDFAST_TEXT_OF(tag) #tag
#define HOLDFAST_TEXT(tag) HOLDFAST_TEXT_OF(tag)

TEST(Abi, TagNamesApiTorchAndStandardLibrary) {
  const std::string tag = HOLDFAST_TEXT(HOLDFAST_ABI_TAG);
  const std::string torch = std::to_string(TORCH_VERSION_MAJOR) + "_" + std::to_string(TORCH_VERSION_MINOR) + "_" +
                            std::to_string(TORCH_VERSION_PATCH);
  EXPECT_EQ(tag, "holdfast_abi_api" + std::to_string(HOLDFAST_PLUGIN_API) + "_torch" + torch + "_cxx11abi" +
                     std::to_string(_GLIBCXX_USE_CXX11_ABI));
}

}  // namespace
}  // namespace holdfast
