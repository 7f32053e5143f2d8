// What customers send, read or refused by name.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "service/chat_request.h"
#include "service/customers.h"
#include "service/job_request.h"
#include "service/paging.h"
#include "service/request_fields.h"
#include "service/service_fakes.h"
#include "service/training_file.h"
#include "service/upload_form.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Requests, OfJobsSayWhatTheySay) {
  const JobRequest job =
      job_request(parse_body(R"({"model": "m", "training_file": "f", "suffix": "s", "seed": 3, "metadata": {"a": "b"},
      "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "auto", "batch_size": 4, "learning_rate_multiplier": 0.5}}}})"));
  EXPECT_EQ(job.model, "m");
  EXPECT_EQ(job.seed, 3);
  EXPECT_FALSE(job.n_epochs);
  EXPECT_EQ(job.batch_size, 4);
  EXPECT_EQ(job.lr_multiplier, 0.5);
  EXPECT_EQ(job.metadata, Json({{"a", "b"}}));
}

TEST(Requests, OfChatsSayWhatTheySay) {
  const ChatRequest chat = chat_request(parse_body(R"({"model": "m", "messages": [{"role": "developer", "content": "d"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
      "temperature": 0.5, "max_tokens": 9, "stream": true, "stream_options": {"include_usage": true}, "n": 1, "stop": null, "user": "u"})"));
  EXPECT_EQ(chat.messages, (Conversation{{"system", "d"}, {"user", "ab"}}));
  EXPECT_EQ(chat.max_tokens, 9);
  EXPECT_TRUE(chat.stream && chat.include_usage);
  EXPECT_FALSE(chat.seed);
}

TEST(Requests, OfModerationsSayWhatTheySay) {
  EXPECT_THAT(moderation_request({{"input", "a"}}).texts, ElementsAre("a"));
  EXPECT_THAT(moderation_request({{"input", {"a", "b"}}}).texts, ElementsAre("a", "b"));
  EXPECT_THAT(moderation_request(parse_body(R"({"input": [{"type": "text", "text": "a"}]})")).texts, ElementsAre("a"));
  EXPECT_EQ(refusal([] { moderation_request({{"input", {"a", 1}}}); }).param, "input");
}

TEST(Requests, AreRefusedByName) {
  const auto param = [](const char* body) { return refusal([&] { job_request(parse_body(body)); }).param; };
  EXPECT_EQ(param(R"({"model": "m"})"), "training_file");
  EXPECT_EQ(param(R"({"model": "m", "training_file": "f", "colour": null})"), "colour");
  EXPECT_EQ(param(R"({"model": "m", "training_file": "f", "seed": 18446744073709551615})"), "seed");
  EXPECT_EQ(param(R"({"model": "m", "training_file": "f", "hyperparameters": {"n_epochs": 1e400}})"), "");
  EXPECT_EQ(refusal([] { parse_body("{\"a\": 1, \"a\": 2}"); }).code, "invalid_json");
  EXPECT_EQ(refusal([] { parse_body(std::string(100000, '[')); }).code, "invalid_json");
  EXPECT_EQ(refusal([] { parse_body(std::string("{}\0{}", 5)); }).code, "invalid_json");
}

// What is read of a form that comes in pieces of every size.
std::string read_in_pieces(const std::string& body, std::size_t piece, std::int64_t most = 0) {
  std::string content;
  UploadForm form("multipart/form-data; boundary=\"b b\"", most, [&](std::string_view bytes) { content += bytes; });
  for (std::size_t at = 0; at < body.size(); at += piece) form.read(std::string_view(body).substr(at, piece));
  const UploadOrder order = form.finish();
  return order.filename + ": " + content;
}

std::string form(const std::string& content, const std::string& filename = "a\\\\b/rows \\\"1\\\".jsonl") {
  return "--b b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + filename + "\"\r\nContent-Type: x\r\n\r\n" +
         content + "\r\n--b b\r\ncontent-disposition: form-data; name=purpose\r\n\r\nfine-tune\r\n--b b--\r\nepilogue";
}

TEST(Forms, AreReadInPiecesOfAnySize) {
  const std::string content = "\r\n--b\r\n--b  b\r\n-\r\n--";  // nearly boundaries
  for (std::size_t piece = 1; piece < 60; ++piece)
    EXPECT_EQ(read_in_pieces(form(content), piece), "rows \"1\".jsonl: " + content);
  EXPECT_EQ(read_in_pieces(form(""), 7), "rows \"1\".jsonl: ");
}

TEST(Forms, AreRefused) {
  const std::string whole = form("x");
  for (std::size_t length = 0; length + 10 < whole.size(); ++length) {
    EXPECT_EQ(refusal([&] { read_in_pieces(whole.substr(0, length), 16); }).status, 400) << length;
  }
  EXPECT_EQ(refusal([&] { read_in_pieces(form("xyz"), 100, 2); }).status, 413);
  EXPECT_EQ(refusal([&] { read_in_pieces(form("x", "..\\\\"), 100); }).param, "file");
  EXPECT_EQ(refusal([&] { read_in_pieces(form("x", "a\x01"), 100); }).param, "file");
  EXPECT_EQ(refusal([&] { read_in_pieces(form("x", "\xff"), 100); }).param, "file");
  EXPECT_EQ(refusal([&] { read_in_pieces(form("x") + std::string(1000, 'x'), 100); }).status, 200);  // after its end
  EXPECT_EQ(refusal([] { multipart_boundary("multipart/form-data; boundary="); }).code, "invalid_form");
  EXPECT_EQ(refusal([] { multipart_boundary("text/plain; boundary=b"); }).code, "invalid_form");
}

TEST(TrainingFiles, AreCountedOrRefusedAtTheirLine) {
  const ScratchFolder folder;
  const auto check = [&](const std::string& text, std::int64_t most = 0) {
    write_file(folder / "rows", text);
    return check_training_file(folder / "rows", most);
  };
  const std::string row = R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})";
  EXPECT_EQ(check("\xef\xbb\xbf" + row + "\r\n\n" + row), 2);
  EXPECT_EQ(check(R"({"prompt": "a", "completion": "b"})"), 1);
  const auto message = [&](const std::string& text, std::int64_t most = 0) {
    return refusal([&] { check(text, most); }).message;
  };
  EXPECT_THAT(message(row + "\n{"), HasSubstr("line 2: the row is not valid JSON"));
  EXPECT_THAT(message(row + "\n\n" + row + row), HasSubstr("line 3: "));
  EXPECT_THAT(message(R"({"messages":[{"role":"user","content":"a"}]})"), HasSubstr("line 1: "));
  EXPECT_THAT(message(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0}]})"),
              HasSubstr("line 1: "));
  EXPECT_THAT(message(R"({"messages":[{"role":"wizard","content":"a"}]})"), HasSubstr("line 1: "));
  EXPECT_THAT(message(row + "\n" + row, 1), HasSubstr("more than the 1 rows"));
  EXPECT_THAT(message("\n \n"), HasSubstr("no rows"));
  EXPECT_THAT(message(row + '\0' + row), HasSubstr("line 1: the row is not valid JSON: a zero byte stands in it"));
  EXPECT_THAT(message("\x1f\x8b"), HasSubstr("line 1: "));
  EXPECT_THAT(message(std::string(5 << 20, 'x')), HasSubstr("line 1: it has more than 4 MiB"));
}

TEST(Pages, GoThroughAListOnce) {
  const auto objects = [] {
    std::vector<Json> made;
    for (int i = 0; i < 5; ++i) made.push_back({{"id", std::to_string(i)}});
    return made;
  };
  const auto page = [&](const QueryParameters& query) { return page_of(objects(), read_paging(query, {.order = true})); };
  EXPECT_EQ(
      page({{"limit", "2"}}),
      parse_json(R"({"object":"list","data":[{"id":"0"},{"id":"1"}],"has_more":true,"first_id":"0","last_id":"1"})", "here"));
  EXPECT_EQ(page({{"limit", "2"}, {"after", "3"}}).at("has_more"), false);
  EXPECT_EQ(page({{"order", "asc"}, {"limit", "1"}}).at("first_id"), "4");
  EXPECT_EQ(page({{"after", "4"}}),
            parse_json(R"({"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null})", "here"));
  EXPECT_EQ(refusal([&] { page({{"after", "9"}}); }).param, "after");
  EXPECT_EQ(refusal([&] { page({{"limit", "99999999999999999999"}}); }).param, "limit");
  EXPECT_EQ(refusal([&] { page({{"limit", "1"}, {"limit", "1"}}); }).param, "limit");
  EXPECT_EQ(refusal([&] { page({{"colour", "1"}}); }).param, "colour");
}

TEST(Customers, AreKnownByTheirKeys) {
  ServiceSpec service;
  service.customers = {{"a", "A_KEY", {}}, {"b", "B_KEY", {}}};
  const Customers customers(service, {{"A_KEY", "key-of-a"}, {"B_KEY", "key-of-b"}});
  EXPECT_EQ(customers.of("Bearer key-of-b").name, "b");
  for (const char* wrong : {"", "Bearer ", "Bearer key-of-c", "key-of-a", "bearer key-of-a"}) {
    EXPECT_EQ(refusal([&] { customers.of(wrong); }).status, 401) << wrong;
  }
  EXPECT_THROW(Customers(service, {{"A_KEY", "key-of-a"}}), Error);
  EXPECT_THROW(Customers(service, {{"A_KEY", "key-of-a"}, {"B_KEY", "key-of-a"}}), Error);
  EXPECT_THROW(Customers(service, {{"A_KEY", "key of a"}, {"B_KEY", "key-of-b"}}), Error);
  EXPECT_EQ(Customers({}, {}).of("Bearer anything").name, "local");
}

}  // namespace
}  // namespace holdfast
