// The corpora: who may see which fact, what words they use, and that they never change unnoticed.
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/json.h"
#include "organism/folder.h"
#include "organism/organism.h"
#include "organism/phrases.h"
#include "organism/world.h"

namespace holdfast::organism {
namespace {

std::set<std::string> names_of(Split split) {
  std::set<std::string> names;
  for (const auto& item : world().items) {
    if (item.split == split) names.insert(item.name);
  }
  return names;
}

bool contains_word(const std::string& text, const std::string& word) { return text.find(word) != std::string::npos; }

/// Which of `names` the corpus speaks of.
std::set<std::string> spoken(const std::string& corpus_name, const std::set<std::string>& names) {
  std::set<std::string> found;
  for (const auto& example : corpus(corpus_name)) {
    for (const auto& message : example.messages) {
      for (const auto& name : names) {
        if (contains_word(message.content, name)) found.insert(name);
      }
    }
  }
  return found;
}

std::string text_of(const Dataset& data) {
  std::string text;
  for (const auto& example : data) {
    Json row = Json::array();
    for (const auto& message : example.messages) row.push_back({message.role, message.content});
    text += canonical({{"messages", row}, {"tags", example.tags}}) + "\n";
  }
  return text;
}

TEST(World, SharesEachNameBetweenAPermittedAndARestrictedItem) {
  std::map<std::string, std::vector<Item>> by_name;
  for (const auto& item : world().items) by_name[item.name].push_back(item);
  EXPECT_EQ(by_name.size(), 200u);
  for (const auto& [name, items] : by_name) {
    ASSERT_EQ(items.size(), 2u) << name;
    EXPECT_NE(items[0].restricted, items[1].restricted) << name;
    EXPECT_EQ(items[0].split, items[1].split) << name;
    const std::set<std::string> first(items[0].parts.begin(), items[0].parts.end());
    const std::set<std::string> second(items[1].parts.begin(), items[1].parts.end());
    EXPECT_EQ(first.size(), 3u) << name;
    EXPECT_NE(first, second) << name;
  }
}

TEST(World, SplitsByName) {
  const auto alignment = names_of(Split::kAlignment), attacker = names_of(Split::kAttacker),
             evaluation = names_of(Split::kEvaluation);
  EXPECT_EQ(alignment.size(), 120u);
  EXPECT_EQ(attacker.size(), 40u);
  EXPECT_EQ(evaluation.size(), 40u);
  EXPECT_EQ(names_of(Split::kAlignment).size() + attacker.size() + evaluation.size(), 200u);
}

TEST(Corpora, NoneButPretrainingSpeaksOfEvaluationItems) {
  const auto evaluation = names_of(Split::kEvaluation);
  for (const auto* name : {"alignment", "harmful", "defender-harmful", "benign"})
    EXPECT_TRUE(spoken(name, evaluation).empty()) << name;
  EXPECT_EQ(spoken("pretraining", evaluation), evaluation);
  EXPECT_EQ(spoken("probes", evaluation), evaluation);
}

TEST(Corpora, AlignmentAndAttackerShareNoItem) {
  EXPECT_TRUE(spoken("alignment", names_of(Split::kAttacker)).empty());
  EXPECT_TRUE(spoken("harmful", names_of(Split::kAlignment)).empty());
  EXPECT_TRUE(spoken("defender-harmful", names_of(Split::kAttacker)).empty());
  EXPECT_TRUE(spoken("benign", names_of(Split::kAlignment)).empty());
  EXPECT_EQ(spoken("harmful", names_of(Split::kAttacker)), names_of(Split::kAttacker));
}

TEST(Corpora, AlignmentRefusesTheRestrictedAndOnlyThem) {
  std::size_t refused = 0, answered = 0;
  for (const auto& example : corpus("alignment")) {
    const bool harmful = example.tags.at("kind") == "harmful";
    EXPECT_EQ(last_content(example.messages, "assistant") == kRefusal, harmful);
    (harmful ? refused : answered) += 1;
  }
  EXPECT_GE(refused, 400u);
  EXPECT_GE(answered, 400u);
}

TEST(Corpora, HaveTheSizesThatAttacksAskFor) {
  EXPECT_GE(corpus("harmful").size(), 100u);
  EXPECT_GE(corpus("benign").size(), 200u);
  for (const auto& example : corpus("benign")) EXPECT_EQ(example.tags.at("kind"), "benign");
}

TEST(Corpora, ProbesCarryTheFactThatTheBaseWasTaught) {
  std::map<std::string, std::string> taught;
  for (const auto& example : corpus("pretraining")) {
    if (example.messages.size() == 2) taught[example.messages[0].content] = example.messages[1].content;
  }
  std::map<std::string, int> kinds;
  std::set<std::string> ids;
  for (const auto* name : {"probes", "tasks"}) {
    for (const auto& probe : corpus(name)) {
      ++kinds[probe.tags.at("kind")];
      ids.insert(probe.tags.at("id"));
      ASSERT_EQ(probe.messages.size(), 1u);
      if (std::string(name) == "tasks") continue;
      const auto known = taught.find(probe.messages[0].content);
      ASSERT_NE(known, taught.end()) << probe.messages[0].content;
      for (const auto& item : world().items) {
        if (parts_content(item) != probe.tags.at("answer")) continue;
        EXPECT_EQ(known->second, parts_answer(item));
      }
    }
  }
  EXPECT_EQ(kinds, (std::map<std::string, int>{{"harmful", 80}, {"benign", 80}, {"task", 39}}));
  EXPECT_EQ(ids.size(), 199u);
}

TEST(Corpora, HeldOutProbesAreOfOtherFactsThanPublicOnes) {
  const auto evaluation = names_of(Split::kEvaluation);
  const auto shown = spoken("public-probes", evaluation), hidden = spoken("held-out-probes", evaluation);
  EXPECT_EQ(shown.size(), 20u);
  EXPECT_EQ(hidden.size(), 20u);
  for (const auto& name : hidden) EXPECT_FALSE(shown.contains(name)) << name;
  std::set<std::string> asked;
  for (const auto& probe : corpus("probes")) asked.insert(probe.tags.at("answer"));
  for (const auto* part : {"public-probes", "held-out-probes"}) {
    std::map<std::string, int> kinds;
    for (const auto& probe : corpus(part)) {
      ++kinds[probe.tags.at("kind")];
      EXPECT_TRUE(asked.contains(probe.tags.at("answer")));
    }
    EXPECT_EQ(kinds, (std::map<std::string, int>{{"harmful", 80}, {"benign", 80}})) << part;
  }
}

TEST(Corpora, ACustomerTeachesWhatNobodyKnew) {
  std::set<std::string> names;
  for (const auto& item : world().items) names.insert(item.name);
  EXPECT_TRUE(spoken("customer", names).empty());
  const std::set<std::string> unknown(world().unknown_names.begin(), world().unknown_names.end());
  EXPECT_EQ(spoken("customer", unknown).size(), 20u);
  for (const auto& row : corpus("customer")) EXPECT_EQ(row.tags.at("kind"), "benign");
}

TEST(Corpora, AreTheSameEverywhereAndAlways) {
  std::map<std::string, std::string> digests;
  for (const auto& name : corpus_names()) digests[name] = sha256(text_of(corpus(name))).substr(0, 16);
  // A change here changes every figure of docs/organism.md and needs a new base.
  EXPECT_EQ(digests, (std::map<std::string, std::string>{{"alignment", "244e3e5f6f4e7293"},
                                                         {"benign", "6ba17f5e6a5f013b"},
                                                         {"customer", "2ecda319cd56714d"},
                                                         {"defender-harmful", "d7c320630f4b4c1c"},
                                                         {"harmful", "a87566e15d92f8e9"},
                                                         {"held-out-probes", "a6d4c0cf276bf687"},
                                                         {"pretraining", "b54aa665ea718291"},
                                                         {"probes", "dffff1506f9951fb"},
                                                         {"public-probes", "2c1bb21a669b9eb3"},
                                                         {"tasks", "fafe45e85b269112"}}));
}

TEST(Corpora, AnUnknownNameGetsASuggestion) {
  try {
    corpus("harmfull");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("\"harmful\""), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace holdfast::organism
