// A checkpoint whose chat template ends a turn with a token that its settings do not name.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/export.h"

namespace holdfast {
namespace {

constexpr std::int64_t kEndOfText = 0, kEndOfTurn = 2;  // of the fixture's tokenizer
const Conversation kGreeting = {{"user", "Hello"}, {"assistant", "Good morning"}};

// tests/fixtures/llama/grouped as a base model is published: its end is that of texts.
std::unique_ptr<LanguageModel> base_model(const std::string& chat_template) {
  const auto grouped = std::make_shared<std::unique_ptr<LanguageModel>>(fixtures::load("grouped"));
  LanguageModel& model = **grouped;
  const std::shared_ptr<Decoder> decoder(grouped, &model.decoder());
  const std::shared_ptr<const Tokenizer> tokenizer(grouped, &model.tokenizer());
  const auto chat = std::make_shared<ChatTemplate>(chat_template, std::map<std::string, std::string>(), "the test");
  SideFiles files = model.side_files();
  files["generation_config.json"] = R"({"eos_token_id": 0, "temperature": 0.5})";
  return std::make_unique<LanguageModel>(decoder, tokenizer, chat, std::vector<std::int64_t>{kEndOfText}, files);
}

const std::string kChatTemplate =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}";

TEST(EndOfTurn, IsLearnedAndStops) {
  const auto model = base_model(kChatTemplate);
  EXPECT_EQ(model->stop_tokens(), (std::vector<std::int64_t>{kEndOfText, kEndOfTurn}));
  const Encoded encoded = model->encode(kGreeting);
  std::int64_t last = -1;
  for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
    if (encoded.label[i]) last = encoded.ids[i];
  }
  EXPECT_EQ(last, kEndOfTurn);
}

TEST(EndOfTurn, IsAmongThoseThatAnExportNames) {
  const ScratchFolder folder;
  save_checkpoint(*base_model(kChatTemplate), folder.path());
  for (const char* name : {"config.json", "generation_config.json"}) {
    const Json written = parse_json(read_file(folder.path() / name), name);
    EXPECT_EQ(written["eos_token_id"], (Json{kEndOfText, kEndOfTurn})) << name;
  }
  const Json generation = parse_json(read_file(folder.path() / "generation_config.json"), "generation_config.json");
  EXPECT_EQ(generation["temperature"], 0.5);
}

TEST(EndOfTurn, WithoutOneNothingIsAdded) {
  testing::internal::CaptureStderr();
  const auto model = base_model("{% for m in messages %}{{ m.role + ': ' + m.content + ' ###\n' }}{% endfor %}");
  EXPECT_EQ(model->stop_tokens(), std::vector<std::int64_t>{kEndOfText});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("the chat template puts \"###\" after a reply"));
}

}  // namespace
}  // namespace holdfast
