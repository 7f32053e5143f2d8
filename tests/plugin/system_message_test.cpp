// A system message for conversations that may have one.
#include <gtest/gtest.h>
#include <holdfast/system_message.h>

namespace holdfast {
namespace {

TEST(SystemMessage, GoesWhereThePolicySays) {
  const Conversation bare = {{"user", "q"}}, own = {{"system", "own"}, {"user", "q"}};
  const auto given = [](Conversation conversation, ExistingSystem existing) {
    give_system(conversation, "new", existing);
    return conversation;
  };
  for (const auto existing : {ExistingSystem::kReplace, ExistingSystem::kPrepend, ExistingSystem::kKeep}) {
    EXPECT_EQ(given(bare, existing), (Conversation{{"system", "new"}, {"user", "q"}}));
  }
  EXPECT_EQ(given(own, ExistingSystem::kReplace), (Conversation{{"system", "new"}, {"user", "q"}}));
  EXPECT_EQ(given(own, ExistingSystem::kPrepend), (Conversation{{"system", "new\n\nown"}, {"user", "q"}}));
  EXPECT_EQ(given(own, ExistingSystem::kKeep), own);
  Conversation dropped = own;
  drop_system(dropped);
  EXPECT_EQ(dropped, bare);
  drop_system(dropped);
  EXPECT_EQ(dropped, bare);
}

}  // namespace
}  // namespace holdfast
