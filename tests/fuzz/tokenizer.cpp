// tokenizer.json, and behind a zero byte the text that it is applied to.
#include "text/tokenizer.h"

#include "fuzz/fuzz.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  const char* source = "tokenizer.json";
  const auto tokenizer = Tokenizer::from_json(parse_json(std::string(input.substr(0, end)), source), source);
  std::vector<std::int64_t> ids;
  for (const Token& token : tokenizer->encode(text, true)) {
    expect(token.begin <= token.end && token.end <= text.size(), "a token lies within its text");
    ids.push_back(token.id);
  }
  for (const bool skip_special : {false, true}) tokenizer->decode(ids, skip_special);
}

const Added added("tokenizer", read);

}  // namespace
}  // namespace holdfast::fuzz
