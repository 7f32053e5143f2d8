#include "work/serving.h"

#include <fakes/context.h>
#include <fakes/model.h>
#include <gtest/gtest.h>
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
