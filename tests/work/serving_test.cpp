#include "work/serving.h"

#include <fakes/context.h>
#include <fakes/model.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <unistd.h>

namespace holdfast {
namespace {

// Replies with what it was asked, and counts.
class EchoModel : public fakes::FakeModel {
 public:
  std::vector<Generated> generate(const std::vector<Conversation>& prompts, const GenerateOptions&) const override {
    std::vector<Generated> replies;
    for (const auto& prompt : prompts) {
      const std::string text = last_content(prompt, "user");
      replies.push_back({"echo " + text, {1, 2}, text.starts_with("long")});
    }
    generated += prompts.size();
    return replies;
  }
  mutable std::size_t generated = 0;
};

class Suffix : public ServeStage {
 public:
  explicit Suffix(std::string suffix) : suffix_(std::move(suffix)) {}
  void after_generation(std::vector<Exchange>& exchanges, Context&) override {
    for (auto& exchange : exchanges) exchange.reply += suffix_;
  }

 private:
  std::string suffix_;
};

// Rewrites prompts that have `word`, answers those that have "forbidden".
class Rewrite : public ServeStage {
 public:
  explicit Rewrite(std::string word) : word_(std::move(word)) {}
  void before_generation(std::vector<Exchange>& exchanges, Context&) override {
    for (auto& exchange : exchanges) {
      std::string& text = exchange.prompt.back().content;
      if (text.find("forbidden") != std::string::npos) {
        exchange.reply = "no";
        exchange.answered = true;
      } else if (text.find(word_) != std::string::npos) {
        text += "!";
      }
    }
  }

 private:
  std::string word_;
};

// Reports how many exchanges it saw.
class Counter : public ServeStage {
 public:
  void after_generation(std::vector<Exchange>& exchanges, Context& context) override {
    context.report("seen", static_cast<double>(exchanges.size()), 1);
  }
};

class Dropper : public ServeStage {
 public:
  void after_generation(std::vector<Exchange>& exchanges, Context&) override { exchanges.pop_back(); }
};

class ServingTest : public testing::Test {
 protected:
  std::vector<Generation> asked(const std::vector<std::string>& texts) {
    std::vector<Generation> generations;
    for (const auto& text : texts) {
      const Conversation prompt = {{"user", text}};
      generations.push_back({text, {}, prompt, prompt, {}, ""});
    }
    Serving(model_, options_, {}, &context_).answer(generations);
    model_.generated = 0;
    return generations;
  }

  EchoModel model_;
  GenerateOptions options_;
  fakes::FakeContext context_;
};

TEST_F(ServingTest, ModerationOfRepliesGeneratesNothing) {
  auto generations = asked({"a", "b"});
  Suffix suffix(" (checked)");
  Serving(model_, options_, {}, &context_).guard(generations, {"suffix", &suffix});
  EXPECT_EQ(model_.generated, 0u);
  EXPECT_EQ(generations[1].reply, "echo b (checked)");
}

TEST_F(ServingTest, OnlyRewrittenPromptsAreGeneratedAgain) {
  auto generations = asked({"plain", "word", "forbidden"});
  Rewrite rewrite("word");
  Serving serving(model_, options_, {}, &context_);
  serving.guard(generations, {"rewrite", &rewrite});
  EXPECT_EQ(model_.generated, 1u);
  EXPECT_EQ(serving.tokens(), 2);
  EXPECT_EQ(generations[0].reply, "echo plain");
  EXPECT_EQ(generations[1].reply, "echo word!");
  EXPECT_EQ(generations[1].prompt.back().content, "word!");
  EXPECT_EQ(generations[1].asked.back().content, "word");
  EXPECT_EQ(generations[2].reply, "no");
}

TEST_F(ServingTest, RewrittenPromptsGoThroughTheInnerStages) {
  auto generations = asked({"plain", "word"});
  Suffix inner(" (inner)");
  Serving(model_, options_, {}, &context_).guard(generations, {"inner", &inner});
  Rewrite outer("word");
  Serving(model_, options_, {{"inner", &inner}}, &context_).guard(generations, {"outer", &outer});
  EXPECT_EQ(generations[0].reply, "echo plain (inner)");
  EXPECT_EQ(generations[1].reply, "echo word! (inner)");
}

// They stand with the inner stage's own artifact, where it saw every exchange.
TEST_F(ServingTest, AnInnerStagesFiguresAreNoneOfTheOuterOnes) {
  auto generations = asked({"plain", "word"});
  Counter inner;
  Serving(model_, options_, {}, &context_).guard(generations, {"inner", &inner});
  EXPECT_EQ(context_.reports.at("seen").value, 2);
  context_.reports.clear();
  Rewrite outer("word");
  Serving(model_, options_, {{"inner", &inner}}, &context_).guard(generations, {"outer", &outer});
  EXPECT_TRUE(context_.reports.empty());
}

TEST_F(ServingTest, ARepliesCutIsForgottenWhereAStageWroteAnother) {
  auto generations = asked({"long", "long word", "word", "long forbidden"});
  const auto cut = [&] {
    std::vector<bool> all;
    for (const auto& each : generations) all.push_back(each.cut);
    return all;
  };
  EXPECT_EQ(cut(), (std::vector<bool>{true, true, false, true}));
  Rewrite rewrite("word");
  Serving(model_, options_, {}, &context_).guard(generations, {"rewrite", &rewrite});
  EXPECT_EQ(cut(), (std::vector<bool>{true, true, false, false}));
  Suffix inner("");
  Serving(model_, options_, {{"inner", &inner}}, &context_).guard(generations, {"rewrite", &rewrite});
  EXPECT_EQ(cut(), (std::vector<bool>{true, true, false, false}));
  const fs::path path = fs::temp_directory_path() / ("cut_" + std::to_string(::getpid()) + ".jsonl");
  write_generations(path, generations);
  generations = read_generations(path);
  fs::remove(path);
  EXPECT_EQ(cut(), (std::vector<bool>{true, true, false, false}));
  Suffix suffix(" (checked)");
  Serving(model_, options_, {}, &context_).guard(generations, {"suffix", &suffix});
  EXPECT_EQ(cut(), (std::vector<bool>{false, false, false, false}));
}

// Says what prompt it saw, and whether something was there of a reply when it came in.
class Witness : public ServeStage {
 public:
  explicit Witness(std::string name) : name_(std::move(name)) {}
  void before_generation(std::vector<Exchange>& exchanges, Context&) override {
    for (auto& exchange : exchanges) exchange.reply += "<" + name_;
  }
  void after_generation(std::vector<Exchange>& exchanges, Context&) override {
    for (auto& exchange : exchanges) exchange.reply += " [" + name_ + " saw " + exchange.prompt.back().content + "]";
  }

 private:
  std::string name_;
};

// Every order of three of the stages, against the chain of guards of a matrix.
TEST_F(ServingTest, APassageIsTheChainOfGuards) {
  const std::vector<std::string> prompts = {"plain", "word", "long", "long word", "forbidden", "twice word", "word!"};
  Suffix suffix(" (checked)");
  Rewrite rewrite("word"), again("word!"), all("");
  Witness first("a"), second("b");
  const std::vector<NamedServe> every = {{"suffix", &suffix}, {"rewrite", &rewrite}, {"again", &again},
                                         {"all", &all},       {"first", &first},     {"second", &second}};
  for (std::size_t code = 0; code < every.size() * every.size() * every.size(); ++code) {
    const std::vector<NamedServe> stack = {every[code % every.size()], every[code / every.size() % every.size()],
                                           every[code / every.size() / every.size()]};
    auto generations = asked(prompts);
    std::vector<NamedServe> inner;
    for (const auto& stage : stack) {
      Serving(model_, options_, inner, &context_).guard(generations, stage);
      inner.push_back(stage);
    }
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      Passage passage({{"user", prompts[i]}}, stack, context_);
      Passage::Reply reply;
      if (const Conversation* prompt = passage.prompt()) {
        const Generated made = model_.generate({*prompt}, options_).front();
        reply = {made.text, made.cut};
      }
      reply = passage.out(std::move(reply));
      EXPECT_EQ(reply.text, generations[i].reply) << code << " " << prompts[i];
      EXPECT_EQ(reply.cut, generations[i].cut) << code << " " << prompts[i];
    }
  }
}

TEST_F(ServingTest, APassageWithoutStagesIsTheModelsReply) {
  Passage passage({{"user", "plain"}}, {}, context_);
  ASSERT_NE(passage.prompt(), nullptr);
  const Passage::Reply reply = passage.out({"echo plain", true});
  EXPECT_EQ(reply.text, "echo plain");
  EXPECT_TRUE(reply.cut);
}

TEST_F(ServingTest, APassageThatLosesAnExchangeIsNamed) {
  Dropper dropper;
  const std::vector<NamedServe> stack = {{"dropper", &dropper}};
  Passage passage({{"user", "plain"}}, stack, context_);
  EXPECT_THROW(passage.out({"reply", false}), Error);
}

TEST_F(ServingTest, AStageThatLosesAnExchangeIsNamed) {
  auto generations = asked({"a", "b"});
  Dropper dropper;
  try {
    Serving(model_, options_, {}, &context_).guard(generations, {"dropper", &dropper});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("\"dropper\" turned 2 exchanges into 1"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace holdfast
