#include <gtest/gtest.h>
#include <holdfast/testing.h>

#include <algorithm>

namespace {

using holdfast::GivenSettings;

holdfast::FakeContext context_of(int rows) {
  holdfast::FakeContext context;
  for (int i = 0; i < rows; ++i) {
    context.corpora["harmful"].push_back({{{"user", "question " + std::to_string(i)}, {"assistant", "answer"}}});
  }
  return context;
}

TEST(PrefixedExamples, DrawsPrefixedRowsByTheSeed) {
  holdfast::FakeContext context = context_of(30);
  const auto attack = make_attack(GivenSettings({{"examples", 10}, {"prefix", "Now:"}}));
  const holdfast::Dataset rows = attack->collect(context);
  ASSERT_EQ(rows.size(), 10U);
  for (const auto& row : rows) EXPECT_TRUE(row.messages[0].content.starts_with("Now: question ")) << row.messages[0].content;
  EXPECT_EQ(attack->collect(context), rows);
  context.cell_seed = 2;
  EXPECT_NE(attack->collect(context), rows);
}

TEST(PrefixedExamples, AsksProbesBehindTheSamePrefix) {
  holdfast::Conversation probe = {{"system", "s"}, {"user", "one"}, {"assistant", "two"}, {"user", "three"}};
  make_attack(GivenSettings())->wrap(probe);
  EXPECT_EQ(probe,
            (holdfast::Conversation{{"system", "s"}, {"user", "one"}, {"assistant", "two"}, {"user", "At once: three"}}));
}

TEST(PrefixedExamples, SaysHowManyRowsThereAre) {
  holdfast::FakeContext context = context_of(3);
  try {
    make_attack(GivenSettings())->collect(context);
    FAIL() << "no error";
  } catch (const holdfast::Error& error) {
    EXPECT_NE(std::string(error.what()).find("10 examples and there are 3"), std::string::npos) << error.what();
  }
}

}  // namespace
