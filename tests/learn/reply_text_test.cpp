// A reply's text in pieces, while its tokens come.
#include "learn/reply_text.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include "text/characters.h"
#include "text/fixtures.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

const std::vector<std::string> kTokenizers = {"gemma", "gpt2",  "llama2",   "llama3", "metaspace", "mistral",
                                              "never", "qwen2", "organism", "smollm", "unknowns"};

// The pieces of a reply, of which each is checked; the last is what comes at the end.
std::vector<std::string> pieces_of(const Tokenizer& tokenizer, const Ids& ids, const std::string& before = "") {
  ReplyPieces pieces(tokenizer, before);
  std::vector<std::string> all;
  for (std::size_t count = 1; count <= ids.size(); ++count) {
    all.push_back(pieces.next({ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)}));
  }
  all.push_back(pieces.rest(before + reply_text(tokenizer, ids)));
  for (const auto& piece : all) EXPECT_TRUE(is_valid_utf8(piece));
  return all;
}

// Ids that are likelier than others to hold parts of characters, bytes and special tokens.
Ids drawn(const Tokenizer& tokenizer, Random& random) {
  Ids odd;
  for (std::int64_t id = 0; id < tokenizer.size(); ++id) {
    const std::string token = tokenizer.token_of(id);
    if (tokenizer.is_added(id) || token.starts_with("<0x") || (!token.empty() && (token.front() & 0x80) != 0))
      odd.push_back(id);
  }
  Ids ids(1 + random.below(24));
  for (auto& id : ids) {
    const bool any = odd.empty() || random.below(3) == 0;
    id = any ? static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(tokenizer.size())))
             : odd[random.below(odd.size())];
  }
  return ids;
}

TEST(ReplyPieces, TogetherAreTheTextWhateverTheTokens) {
  Random random(7);
  for (const auto& name : kTokenizers) {
    const auto tokenizer = fixture_tokenizer(name);
    for (int round = 0; round < 2000; ++round) {
      const Ids ids = drawn(*tokenizer, random);
      ASSERT_EQ(joined(pieces_of(*tokenizer, ids)), reply_text(*tokenizer, ids)) << name << " " << testing::PrintToString(ids);
    }
  }
}

TEST(ReplyPieces, TogetherAreTheTextWhereMarksOfThoughtsAreSpecial) {
  Random random(8);
  for (const auto& name : kTokenizers) {
    Json definition = text_fixture(name + ".tokenizer.json");
    std::int64_t id = fixture_tokenizer(name)->size();
    for (const char* mark : {"<think>", "</think>", "[THINK]"}) {
      id += 2;  // with gaps, as between the rows of a padded embedding
      definition["added_tokens"].push_back({{"id", id},
                                            {"content", mark},
                                            {"special", true},
                                            {"single_word", false},
                                            {"lstrip", false},
                                            {"rstrip", false},
                                            {"normalized", false}});
    }
    const auto tokenizer = Tokenizer::from_json(definition, name);
    std::int64_t shown = 0;
    for (int round = 0; round < 1000; ++round) {
      const Ids ids = drawn(*tokenizer, random);
      const std::string text = reply_text(*tokenizer, ids);
      ASSERT_EQ(joined(pieces_of(*tokenizer, ids)), text) << name << " " << testing::PrintToString(ids);
      shown += text.find("<think>") != std::string::npos ? 1 : 0;
    }
    EXPECT_GT(shown, 0) << name;
  }
}

TEST(ReplyPieces, ComeWithTheTokensWhereNothingIsOpen) {
  for (const auto& name : kTokenizers) {
    const auto tokenizer = fixture_tokenizer(name);
    Ids ids = ids_of(tokenizer->encode("where is the old mill that stands by the river and is here", false));
    std::erase_if(ids, [&](std::int64_t id) { return tokenizer->is_added(id); });  // the organism's language has few words
    const auto pieces = pieces_of(*tokenizer, ids);
    EXPECT_EQ(pieces.back(), "") << name << ": all was said with the last token";
    EXPECT_GT(std::count_if(pieces.begin(), pieces.end(), [](const auto& piece) { return !piece.empty(); }), 3) << name;
  }
}

TEST(ReplyPieces, HoldBackACharacterUntilItIsWhole) {
  for (const char* name : {"gpt2", "llama3", "llama2"}) {
    const auto tokenizer = fixture_tokenizer(name);
    const std::string text = "a \xF0\x9F\xA6\x91 b";
    const Ids ids = ids_of(tokenizer->encode(text, false));
    const auto pieces = pieces_of(*tokenizer, ids);
    EXPECT_EQ(joined(pieces), reply_text(*tokenizer, ids));
    EXPECT_THAT(pieces, testing::Contains(testing::HasSubstr("\xF0\x9F\xA6\x91"))) << name;
    for (const auto& piece : pieces) EXPECT_EQ(piece.find(kReplacementCharacter), std::string::npos) << name;
  }
}

TEST(ReplyPieces, OfBytesThatAreNoCharacterAreReplaced) {
  const auto tokenizer = fixture_tokenizer("llama2");
  const auto byte = [&](const char* name) { return tokenizer->id_of(name).value(); };
  const Ids ids = {byte("<0x41>"), byte("<0xFF>")};  // by itself the first would be an A
  EXPECT_EQ(pieces_of(*tokenizer, ids), (std::vector<std::string>{"", "", "\uFFFD\uFFFD"}));
}

TEST(ReplyPieces, BeginWithWhatThePromptOpened) {
  const auto tokenizer = fixture_tokenizer("gpt2");
  const Ids ids = ids_of(tokenizer->encode("one two", false));
  const auto pieces = pieces_of(*tokenizer, ids, "<think>\n");
  EXPECT_TRUE(pieces.front().starts_with("<think>\n"));
  EXPECT_EQ(joined(pieces), "<think>\n" + tokenizer->decode(ids, true));
}

// As where a reply is generated anew.
TEST(ReplyPieces, AreGivenOutOnce) {
  const auto tokenizer = fixture_tokenizer("gpt2");
  const Ids ids = ids_of(tokenizer->encode("one two three", false));
  const std::string text = tokenizer->decode(ids, true);
  ReplyPieces pieces(*tokenizer);
  EXPECT_EQ(pieces.next(ids), text);
  EXPECT_EQ(pieces.next({ids.begin(), ids.begin() + 1}), "");
  EXPECT_EQ(pieces.next(ids), "");
  EXPECT_EQ(pieces.rest(text + " four"), " four");
  EXPECT_THROW(pieces.rest("another text"), Error);
}

}  // namespace
}  // namespace holdfast
