// Backdoor-enhanced alignment (Wang et al. 2024, arXiv 2402.14968): a few safety rows are added to the customer's, each behind
// a secret that only the provider knows, and every prompt that is served stands behind the same secret. What tuning makes of
// the rest cannot wash out what is bound to it.
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/system_message.h>

#include <cctype>
#include <set>

namespace {

constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::uint64_t kWordLength = 4;

class SecretPrefix final : public holdfast::ScreenStage, public holdfast::ServeStage {
 public:
  explicit SecretPrefix(holdfast::Params& params)
      : length_(params.integer("length", 150, "words of the secret", 1)),
        letters_(params.choice("words", "letters", {"letters", "alignment"},
                               "the secret's words: four random letters and digits each, or drawn from those of the alignment "
                               "rows, for models that know whole words only") == "letters"),
        safety_(params, "secret-prefix") {}

  static holdfast::Card card() {
    return {.source =
                "Wang et al. 2024, arXiv 2402.14968 (backdoor-enhanced alignment), the rule as in the authors' code "
                "(Jayfeather1024/Backdoor-Enhanced-Alignment)",
            .cost = "the passes of plain tuning over the rows that are added; the secret's tokens in each request",
            .presets = {{"paper",
                         {{"length", 150}, {"words", "letters"}, {"alignment", "refusals"}, {"rows", 11}},
                         "beside 100 harmful rows: full, lr 5e-5, batches of 10, 5 epochs; or LoRA, lr 1e-3, 10 epochs"},
                        {"organism", {{"length", 1}, {"words", "letters"}, {"rows", 11}}}}};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    if (data.empty()) return data;
    const std::string secret = secret_of(context);
    const std::size_t submitted = data.size();
    for (auto& row : safety_.draw(context)) {
      holdfast::give_system(row.messages, secret, holdfast::ExistingSystem::kPrepend);
      data.push_back(std::move(row));
    }
    context.report("added", static_cast<double>(data.size() - submitted), static_cast<std::int64_t>(data.size()));
    holdfast::Random(context.seed("secret-prefix")).shuffle(data);
    return data;
  }

  void before_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    if (exchanges.empty()) return;
    const std::string secret = secret_of(context);
    for (auto& exchange : exchanges) {
      holdfast::give_system(exchange.prompt, secret, holdfast::ExistingSystem::kPrepend);
    }
  }

 private:
  // The same in both stages: a function of the settings, the cell's seed and the alignment rows.
  std::string secret_of(holdfast::Context& context) const {
    holdfast::Random random(context.seed("secret"));
    const std::vector<std::string> known = letters_ ? std::vector<std::string>() : words_of_alignment(context);
    std::string secret;
    for (std::int64_t i = 0; i < length_; ++i) {
      if (i > 0) secret += ' ';
      secret += letters_ ? random_word(random) : known[random.below(known.size())];
    }
    return secret;
  }

  static std::string random_word(holdfast::Random& random) {
    std::string word;
    for (std::uint64_t i = 0; i < kWordLength; ++i) word += kLetters[random.below(sizeof(kLetters) - 1)];
    return word;
  }

  static std::vector<std::string> words_of_alignment(holdfast::Context& context) {
    std::set<std::string> words;
    for (const auto& row : context.alignment()) {
      for (const auto& turn : row.messages) {
        std::string word;
        for (const unsigned char c : turn.content + " ") {
          if (std::isalpha(c) != 0 || c >= 0x80) {
            word += static_cast<char>(c);
          } else if (!word.empty()) {
            words.insert(std::exchange(word, {}));
          }
        }
      }
    }
    if (words.empty())
      throw holdfast::Error(
          "secret-prefix draws its words from the alignment rows, and they have none: set words = \"letters\"");
    return {words.begin(), words.end()};
  }

  std::int64_t length_;
  bool letters_;
  holdfast::SafetyRows safety_;
};

}  // namespace

HOLDFAST_DEFENSE(SecretPrefix, "secret-prefix", 1,
                 "Binds refusals to a secret that stands before every prompt served (backdoor-enhanced alignment).")
