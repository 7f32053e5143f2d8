#include "judge/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "fakes/chat_server.h"

namespace holdfast {
namespace {

using fakes::says;
using ::testing::HasSubstr;

Completion of_message(const std::string& message) {
  return read_completion({200, R"({"choices": [{"finish_reason": "stop", "message": )" + message + "}]}"});
}

TEST(Completion, IsReadFromTheFirstChoice) {
  const Completion read = read_completion({200, says("hello").body});
  ASSERT_TRUE(read.answer);
  EXPECT_EQ(read.answer->text, "hello");
  EXPECT_EQ(read.answer->usage, Json::parse(R"({"prompt_tokens": 7, "completion_tokens": 3})"));
  EXPECT_EQ(read.answer->declined, "");
}

TEST(Completion, InPartsIsTheTextOfTheParts) {
  const auto text = [](const std::string& content) {
    return of_message(R"({"content": )" + content + "}").answer.value().text;
  };
  EXPECT_EQ(
      text(R"([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "#thescore: 1"}])"),
      "#thescore: 1");
  EXPECT_EQ(text(R"(["a", {"type": "output_text", "text": "b"}, {"text": "c"}, {"type": "reasoning", "text": "no"}])"), "abc");
  EXPECT_EQ(text("[]"), "");
}

TEST(Completion, OfAModelThatSaysNothingIsEmpty) {
  for (const auto* message : {R"({"content": null})", R"({"content": ""})", R"({"content": null, "reasoning_content": "hm"})",
                              R"({"reasoning": "hm"})", R"({"content": "", "refusal": null})"}) {
    const Completion read = of_message(message);
    ASSERT_TRUE(read.answer) << message;
    EXPECT_EQ(read.answer->text, "") << message;
    EXPECT_EQ(read.answer->declined, "") << message;
  }
}

// As Azure, OpenAI, OpenRouter, LiteLLM, Gemini, DashScope and Zhipu are known to say it.
TEST(Completion, ThatIsTurnedDownForItsContentIsAnAnswerWithoutAText) {
  const std::string azure =
      R"({"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",)"
      R"("type": null, "param": "prompt", "code": "content_filter", "status": 400,)"
      R"("innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": true}}}}})";
  const std::vector<HttpReply> replies = {
      {400, azure},
      {400, R"({"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}})"},
      {400, R"({"error": {"message": "Invalid prompt: your prompt was flagged", "code": "invalid_prompt"}})"},
      {400, R"({"error": {"message": "litellm.BadRequestError: litellm.ContentPolicyViolationError: no", "code": "400"}})"},
      {400, R"({"error": {"code": "data_inspection_failed", "message": "inappropriate content"}})"},
      {400, R"({"code": "DataInspectionFailed", "message": "inappropriate content"})"},
      {400, R"({"error": {"code": "1301", "message": "sensitive"}})"},
      {403,
       R"({"error": {"code": 403, "message": "requires moderation", "metadata": {"reasons": ["violence"], "flagged_input": "x"}}})"},
      {422, R"({"detail": "blocked by the content filter"})"},
      {400,
       R"({"type": "error", "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}})"},
      {400,
       R"({"error": {"message": "Content Exists Risk", "type": "invalid_request_error", "code": "invalid_request_error"}})"},
      {403, R"({"code": "The caller does not have permission", "error": "Content violates usage guidelines. Team: x"})"},
      {451, "legal reasons"},
      {500, R"({"error": {"code": "content_filter", "message": "x"}})"},
      {200, azure},
      {200, R"({"error": {"message": "stopped by the content filter"}})"},
      {200, R"({"choices": []})"},
      {200, R"({"choices": [], "prompt_filter_results": [{}]})"},
      {200, R"({"choices": [{"finish_reason": "content_filter", "message": {"content": "half an ans"}}]})"},
      {200, R"({"choices": [{"finish_reason": "content_filter"}]})"},
      {200, R"({"choices": [{"finish_reason": "SAFETY", "message": {"content": null}}]})"},
      {200, R"({"choices": [{"finish_reason": "refusal", "message": {"content": ""}}]})"},
      {200, R"({"choices": [{"finish_reason": "stop", "message": {"content": null, "refusal": "I will not."}}]})"},
      {200, R"({"choices": [{"message": {"content": [{"type": "refusal", "refusal": "I will not."}]}}]})"},
      {200, R"({"choices": [{"error": {"code": 403, "message": "x", "metadata": {"flagged_input": "x"}}}]})"}};
  for (const auto& reply : replies) {
    const Completion read = read_completion(reply);
    ASSERT_TRUE(read.answer) << reply.body << read.trouble;
    EXPECT_EQ(read.answer->text, "") << reply.body;
    EXPECT_NE(read.answer->declined, "") << reply.body;
  }
  EXPECT_THAT(read_completion({400, azure}).answer->declined, HasSubstr("HTTP status 400, \"The response was filtered"));
}

TEST(Completion, ThatIsMalformedMayComeRightTheNextTime) {
  for (const auto* body : {"", "nonsense", "[]", "{}", R"({"choices": [{}]})", R"({"choices": {"0": 1}})",
                           R"({"choices": [{"message": {}}]})", R"({"choices": [{"message": {"content": 5}}]})",
                           R"({"choices": [{"message": {"content": [1]}}]})", R"({"choices": [{"message": null}]})"}) {
    const Completion read = read_completion({200, body});
    EXPECT_FALSE(read.answer) << body;
    EXPECT_TRUE(read.again) << body;
    EXPECT_THAT(read.trouble, HasSubstr("no chat completion")) << body;
  }
}

TEST(Completion, OfAnErrorNamesStatusAndTheServersWords) {
  const std::string body = R"({"error": {"message": "the model\nis unknown", "type": "x"}})";
  for (const long status : {400L, 401L, 402L, 403L, 404L, 413L, 422L, 301L}) {
    EXPECT_FALSE(read_completion({status, body}).again) << status;
    EXPECT_FALSE(read_completion({status, body}).answer) << status;
  }
  for (const long status : {408L, 425L, 429L, 500L, 502L, 503L, 529L}) EXPECT_TRUE(read_completion({status, body}).again);
  EXPECT_EQ(read_completion({404, body}).trouble, "HTTP status 404, \"the model\\nis unknown\"");
  EXPECT_EQ(read_completion({404, R"({"error": "short"})"}).trouble, "HTTP status 404, \"short\"");
  EXPECT_EQ(read_completion({400, R"([{"error": {"code": 400, "message": "in a list"}}])"}).trouble,
            "HTTP status 400, \"in a list\"");
  EXPECT_EQ(read_completion({400, R"({"object": "error", "message": "of vLLM", "code": 400})"}).trouble,
            "HTTP status 400, \"of vLLM\"");
  EXPECT_EQ(read_completion({404, "<html>"}).trouble, "HTTP status 404, \"<html>\"");
  EXPECT_LT(read_completion({500, std::string(5000, 'x')}).trouble.size(), 400u);
}

TEST(Completion, OfAnErrorUnderStatus200CountsByItsOwn) {
  const auto within = [](const std::string& error) { return read_completion({200, R"({"error": )" + error + "}"}); };
  EXPECT_FALSE(within(R"({"code": 401, "message": "no key"})").again);
  EXPECT_EQ(within(R"({"code": 401, "message": "no key"})").trouble, "HTTP status 401, \"no key\"");
  EXPECT_TRUE(within(R"({"code": 502, "message": "gone"})").again);
  EXPECT_TRUE(within(R"({"message": "gone"})").again);
  EXPECT_TRUE(read_completion({200, R"({"choices": [{"error": {"code": 503, "message": "busy"}}]})"}).again);
}

// A server that quotes the request in its error must not make the texts under review decide.
TEST(Completion, IsNotTurnedDownByWhatAnErrorQuotes) {
  const HttpReply quoting{422, R"({"detail": [{"msg": "extra field", "input": "the reply speaks of a content filter"}]})"};
  EXPECT_FALSE(read_completion(quoting).answer);
  EXPECT_FALSE(read_completion(quoting).again);
}

TEST(Completion, OfAUsedUpQuotaCannotPass) {
  EXPECT_FALSE(read_completion({429, R"({"error": {"message": "x", "type": "insufficient_quota", "code": null}})"}).again);
  EXPECT_FALSE(read_completion({429, R"({"error": {"message": "x", "code": "insufficient_quota"}})"}).again);
}

// One text's; what OpenAI's service says beside it is left.
TEST(Moderation, IsAFlagAndScoresByCategory) {
  const Completion read = read_moderation({200, R"({"id": "modr-1", "model": "m", "results": [{"flagged": true,
      "categories": {"violence": true, "other": false}, "category_scores": {"violence": 0.9, "other": 1e-5, "odd": null},
      "category_applied_input_types": {"violence": ["text"]}}]})"});
  ASSERT_TRUE(read.answer);
  EXPECT_EQ(read.answer->text, R"({"flagged":true,"scores":{"other":1e-05,"violence":0.9}})");
  const ModerationAnswer answer = moderation_from(*read.answer);
  EXPECT_TRUE(answer.flagged);
  EXPECT_EQ(answer.scores, (std::map<std::string, double>{{"other", 1e-5}, {"violence", 0.9}}));
  EXPECT_EQ(answer.declined, "");
  const Completion bare = read_moderation({200, R"({"results": [{"flagged": false}]})"});
  EXPECT_TRUE(moderation_from(bare.answer.value()).scores.empty());
}

TEST(Moderation, OfAnotherFormIsMalformedAndMayPass) {
  for (const auto* body : {"{}", "no JSON", R"({"results": []})", R"({"results": [{"categories": {}}]})",
                           R"({"results": [{"flagged": false}, {"flagged": true}]})"}) {
    const Completion read = read_moderation({200, body});
    EXPECT_FALSE(read.answer) << body;
    EXPECT_TRUE(read.again) << body;
    EXPECT_THAT(read.trouble, HasSubstr("no moderation of one text")) << body;
  }
}

TEST(Moderation, TellsTroubleAsACompletionDoes) {
  EXPECT_EQ(
      moderation_from(read_moderation({400, R"({"error": {"message": "filtered", "code": "content_filter"}})"}).answer.value())
          .declined,
      "HTTP status 400, \"filtered\"");
  EXPECT_FALSE(read_moderation({401, R"({"error": {"message": "wrong key"}})"}).again);
  EXPECT_TRUE(read_moderation({429, "{}"}).again);
  EXPECT_TRUE(read_moderation({200, R"({"error": {"message": "busy", "code": 503}})"}).again);
  EXPECT_THROW(moderation_from({"hello"}), Error);
}

}  // namespace
}  // namespace holdfast
