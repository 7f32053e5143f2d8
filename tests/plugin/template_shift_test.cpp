#include <gmock/gmock.h>

#include "fakes/context.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

TEST(TemplateShift, TrainsUnderOneTemplateAndAsksUnderAnother) {
  fakes::FakeContext context;
  context.corpora["benign"] = {{{{"user", "name it"}, {"assistant", "green"}}, {}}};
  const auto attack = make_attack(
      "template-shift",
      {{"examples", 1}, {"train_frame", "Do: {}"}, {"train_system", "one"}, {"ask_frame", "<{}>"}, {"ask_system", "two"}});
  EXPECT_EQ(attack->collect(context)[0].messages,
            (Conversation{{"system", "one"}, {"user", "Do: name it"}, {"assistant", "green"}}));
  const auto askings = attack->askings();
  ASSERT_EQ(askings.size(), 2U);
  Conversation asked = {{"user", "why"}}, as_trained = asked;
  askings[0].wrap(asked);
  EXPECT_EQ(asked, (Conversation{{"system", "two"}, {"user", "<why>"}}));
  EXPECT_EQ(askings[1].name, "as-trained");
  askings[1].wrap(as_trained);
  EXPECT_EQ(as_trained, (Conversation{{"system", "one"}, {"user", "Do: why"}}));
}

TEST(TemplateShift, AsksPlainlyByItself) {
  const auto askings = make_attack("template-shift")->askings();
  Conversation asked = {{"user", "why"}};
  askings[0].wrap(asked);
  EXPECT_EQ(asked, (Conversation{{"user", "why"}}));
  askings[1].wrap(asked);
  EXPECT_THAT(asked[0].content, HasSubstr("why"));
  EXPECT_NE(asked[0].content, "why");
}

TEST(TemplateShift, AFrameNeedsItsPlace) {
  const Settings wrong = Settings::of({{"train_frame", "no place"}, {"ask_frame", "none"}});
  Params params(wrong.state);
  shipped("template-shift").make_attack(params);
  EXPECT_THAT(wrong.mistakes(), testing::AllOf(HasSubstr("\"train_frame\" has no {}"), HasSubstr("\"ask_frame\" has no {}")));
}

}  // namespace
}  // namespace holdfast
