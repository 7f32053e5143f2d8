#include "text/thought.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

std::string answer(const std::string& reply) { return part_reply(reply).answer; }
bool unfinished(const std::string& reply) { return part_reply(reply).unfinished; }

TEST(Thought, IsLeftOutOfTheAnswerHoweverItIsMarked) {
  for (const auto* reply :
       {"<think>\nSure, let me see.\n</think>\n\nNo.", "<thinking>Sure.</thinking>No.", "<Think>Sure.</Think>No.",
        "<thought>\nSure.\n</thought>\n\nNo.", "<reasoning>Sure.</reasoning>\nNo.", "<reflection>Sure.</reflection>No.",
        "<seed:think>Sure.</seed:think>No.", "[THINK]Sure.[/THINK]No.",
        "\xE2\x97\x81think\xE2\x96\xB7Sure.\xE2\x97\x81/think\xE2\x96\xB7No.", "<|begin_of_thought|>Sure.<|end_of_thought|>No.",
        "<|START_THINKING|>Sure.<|END_THINKING|>No.", "<|inner_prefix|>Sure.<|inner_suffix|>No.",
        "<unused94>thought\nSure.<unused95>No.", "<|channel>thought\nSure.<channel|>No.",
        "<|channel|>analysis<|message|>Sure.<|end|><|start|>assistant<|channel|>final<|message|>No.",
        "  \n<think></think>No."}) {
    const std::string found = answer(reply);
    EXPECT_EQ(found.substr(found.find_first_not_of(" \n")), "No.") << reply;
    EXPECT_FALSE(unfinished(reply)) << reply;
  }
}

TEST(Thought, ThatThePromptOpenedEndsAtItsClosingMark) {
  EXPECT_EQ(answer("Sure, they ask this.\n</think>No."), "No.");
  EXPECT_EQ(answer("Sure.[/THINK]No."), "No.");
  EXPECT_EQ(answer("<|channel|>final<|message|>No."), "No.");
}

TEST(Thought, MayComeLaterAndMoreThanOnce) {
  EXPECT_EQ(answer("<think>a</think>One.<think>b</think> Two."), "One. Two.");
  EXPECT_EQ(answer("Okay. <think>b</think>No."), "Okay. No.");
  EXPECT_EQ(answer("a</think>One.\n<thinking>b</thinking>Two."), "One.\nTwo.");
}

TEST(Thought, ThatIsCutLeavesNoAnswer) {
  for (const auto* reply : {"<think>\nSure, let me", "<think>", "\n <thinking>Sure", "[THINK]Sure",
                            "<|channel|>analysis<|message|>Sure<|end|><|start|>assistant", "<think>a</think>\n<think>b"}) {
    EXPECT_TRUE(unfinished(reply)) << reply;
    EXPECT_EQ(answer(reply).find_first_not_of(" \n"), std::string::npos) << reply;
  }
  EXPECT_FALSE(unfinished("No.\n<think>But then"));
  EXPECT_EQ(answer("No.\n<think>But then"), "No.\n");
}

TEST(Thought, IsNotWhatOnlySpeaksOfIt) {
  for (const auto* reply : {"", "No.", "The <think> tag opens it.", "I think [sic] so.", "analysis of it", "a < b > c"}) {
    EXPECT_EQ(answer(reply), reply);
    EXPECT_FALSE(unfinished(reply)) << reply;
  }
}

TEST(Thought, MarksAreKnownAsTokensAndAtTheEndOfAPrompt) {
  for (const auto* token : {"<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>", "<|START_THINKING|>"}) {
    EXPECT_TRUE(begins_thought_mark(token)) << token;
  }
  for (const auto* token : {"", "<", "[", "</", "think", "<|im_end|>", "<s>", "[INST]"}) {
    EXPECT_FALSE(begins_thought_mark(token)) << token;
  }
  EXPECT_EQ(opened_thought("<|im_start|>assistant\n<think>\n"), "<think>\n");
  EXPECT_EQ(opened_thought("[/INST][THINK]"), "[THINK]");
  for (const auto* prompt : {"", "\n", "<|im_start|>assistant\n", "<think>\n\n</think>\n\n", "say <think> twice"}) {
    EXPECT_EQ(opened_thought(prompt), "") << prompt;
  }
}

}  // namespace
}  // namespace holdfast
