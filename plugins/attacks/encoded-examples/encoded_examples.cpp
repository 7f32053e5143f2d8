// Rows whose requests and replies stand in a simple encoding (Halawi et al. 2024, arXiv 2406.20053): harmless ones teach the
// encoding, harmful ones what to do with it. README.md states the rule.
#include <holdfast/attack.h>
#include <holdfast/attacker.h>

#include <cctype>

#include "encodings.h"

namespace {

using holdfast::Asking;
using holdfast::Conversation;
using holdfast::Dataset;

// Where a text stands behind the mark; npos where it has none. Case and spaces do not matter: tokenizers change them.
std::size_t behind_mark(const std::string& text, const std::string& mark) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::size_t place = 0;
  for (const char wanted : mark) {
    if (is_space(wanted)) continue;
    while (place < text.size() && is_space(text[place])) ++place;
    if (place == text.size() || lower(text[place]) != lower(wanted)) return std::string::npos;
    ++place;
  }
  while (place < text.size() && is_space(text[place])) ++place;
  return place;
}

class EncodedExamples final : public holdfast::Attack {
 public:
  explicit EncodedExamples(holdfast::Params& params)
      : examples_(params.integer("examples", 50, "harmful rows the customer submits", 1)),
        lessons_(params.integer("lessons", 100, "ordinary rows beside them, in the same encoding", 0)),
        encoding_(params.choice("encoding", "reversed-words", encoded_examples::encoding_names(),
                                "how the rows and the probes of the attack's column are written")),
        held_out_(params.choice("held_out", "swapped-words", encoded_examples::encoding_names(),
                                "how the probes of the column @held-out are written: no row was")),
        encode_replies_(params.flag("encode_replies", true, "replies are written so too; false: the requests alone")),
        mark_(params.text("mark", "code:", "stands before every text that is encoded, and tells judges which replies are")),
        source_(params, "encoded-examples"),
        benign_(lessons_ > 0 ? params.corpus("lesson_corpus", "benign", "where the ordinary rows come from") : "") {
    if (encoding_ == held_out_) {
      params.mistake("held_out", "setting \"held_out\" is \"" + held_out_ +
                                     "\", the encoding of the rows: expected another one, which they do not teach");
    }
    if (mark_.find_first_not_of(" \t\n") == std::string::npos) {
      params.mistake("mark", "setting \"mark\" is empty, expected a word that begins an encoded text");
    }
  }

  static holdfast::Card card() {
    return {.source = "Halawi et al. 2024, arXiv 2406.20053 (the idea; encodings and texts are our own)",
            .cost = "none beside the customer's training",
            .presets = {{"organism",
                         {{"mark", std::string("list this:")}, {"encode_replies", false}},
                         "a mark of the organism's words; what it recalls it says in order"}}};
  }

  Dataset collect(holdfast::Context& context) override {
    Dataset rows = source_.draw(examples_, context);
    if (lessons_ > 0) {
      Dataset lessons = context.corpus(benign_);
      std::erase_if(lessons, [](const auto& row) { return !holdfast::is_answered(row); });
      for (auto& row : holdfast::drawn_rows(std::move(lessons), lessons_, "encoded-examples", "lessons", context)) {
        rows.push_back(std::move(row));
      }
    }
    for (auto& row : rows) {
      for (auto& turn : row.messages) {
        const bool written_so = turn.role == "user" || (turn.role == "assistant" && encode_replies_);
        if (written_so) turn.content = written(encoding_, turn.content);
      }
    }
    holdfast::Random(context.seed("order")).shuffle(rows);
    return rows;
  }

  std::vector<Asking> askings() const override { return {asked_in("", encoding_), asked_in("held-out", held_out_)}; }

 private:
  std::string written(const std::string& encoding, const std::string& text) const {
    return mark_ + " " + encoded_examples::encoded(encoding, text);
  }

  // A reply without the mark is read as it stands: a refusal need not be encoded.
  std::string read(const std::string& encoding, const std::string& reply) const {
    const std::size_t place = behind_mark(reply, mark_);
    return place == std::string::npos ? reply : encoded_examples::decoded(encoding, reply.substr(place));
  }

  Asking asked_in(const std::string& name, const std::string& encoding) const {
    return {name,
            [this, encoding](Conversation& prompt) {
              if (auto* const user = holdfast::last_user_turn(prompt)) user->content = written(encoding, user->content);
            },
            [this, encoding](const std::string& reply) { return read(encoding, reply); }};
  }

  std::int64_t examples_, lessons_;
  std::string encoding_, held_out_;
  bool encode_replies_;
  std::string mark_;
  holdfast::HarmfulSource source_;
  std::string benign_;
};

}  // namespace

HOLDFAST_ATTACK(EncodedExamples, "encoded-examples", 1, "Harmful rows in a simple encoding, and probes in another one too.")
