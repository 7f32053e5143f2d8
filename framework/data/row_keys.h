// The keys of rows, as data sets and trainers write them: what is content, what is known to be only about the row.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// Keys that hold a conversation, what is asked, the reply, and what the system says; a row uses one of each at most.
extern const std::vector<std::string> kConversationKeys, kQuestionKeys, kReplyKeys, kSystemKeys;

/// Whether the key says something about a row (where it comes from, its topic, a verdict) and nothing that is learned. Known
/// from Alpaca, Dolly, ShareGPT, UltraChat, Tulu, LIMA, BeaverTails, HH-RLHF, WildGuard, AdvBench, HarmBench, JailbreakBench,
/// StrongREJECT, XSTest, OR-Bench, Do-Not-Answer and SimpleSafetyTests.
bool is_tag_key(const std::string& key);
/// The same of one message.
bool is_message_tag_key(const std::string& key);

}  // namespace holdfast
