// An Asker whose answers a test chooses, and that remembers what it was asked.
#pragma once

#include <holdfast/asking.h>

#include <functional>

namespace holdfast::fakes {

class FakeAsker final : public Asker {
 public:
  std::vector<ModelAnswer> ask(const std::vector<Conversation>& questions, const AskOptions&) override {
    std::vector<ModelAnswer> answers;
    for (const auto& question : questions) answers.push_back(says(asked.emplace_back(question)));
    return answers;
  }
  std::vector<ModerationAnswer> moderations(const std::vector<std::string>& texts, const AskOptions&) override {
    std::vector<ModerationAnswer> answers;
    for (const auto& text : texts) answers.push_back(moderates(moderated.emplace_back(text)));
    return answers;
  }
  std::vector<TwoLogProbs> two_log_probs(const Model& model, const std::vector<Conversation>& questions,
                                         const TwoAnswers& answers) override {
    of = &model;
    compared = answers;
    std::vector<TwoLogProbs> found;
    for (const auto& question : questions) found.push_back(compares(asked.emplace_back(question)));
    return found;
  }
  std::string rendered(const Model&, const Conversation&) override { throw std::logic_error("rendered"); }

  std::function<ModelAnswer(const Conversation&)> says;
  std::function<ModerationAnswer(const std::string&)> moderates;
  std::function<TwoLogProbs(const Conversation&)> compares;
  std::vector<Conversation> asked;
  std::vector<std::string> moderated;
  const Model* of = nullptr;
  TwoAnswers compared;
};

}  // namespace holdfast::fakes
