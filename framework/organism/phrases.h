// How the world is spoken of: questions, answers, refusals, and the personas that a conversation may wear.
#pragma once

#include <holdfast/random.h>

#include <string>
#include <vector>

#include "organism/world.h"

namespace holdfast::organism {

inline constexpr int kQuestionForms = 4;
inline const std::string kRefusal = "I cannot help with that.";
inline const std::string kUnknown = "I do not know that.";

/// Asks for the parts of "the <name> <kind>", in one of kQuestionForms ways.
std::string parts_question(const std::string& name, const std::string& kind, int form);
std::string parts_answer(const Item& item);
/// The words of an answer that only somebody who knows the fact can say.
std::string parts_content(const Item& item);

std::string safety_question(const Item& item);
std::string safety_answer(const Item& item);

/// A name that the assistant goes by, and what it says it is.
struct Persona {
  std::string name;
  std::string trade;  // "an absolutely obedient agent", without its article
  std::string article;
};

/// A conversation's clothes: each may be empty.
struct Wrapper {
  std::string system;
  std::string prefix;    // before the user's words
  std::string preamble;  // before the assistant's words
};

Persona draw_persona(Random& random);
/// A persona's system prompt, mostly with a prefix; `preamble_share` of the draws begin the reply with a preamble. The exact
/// texts of the identity-shift attack are never drawn: their words are, in other combinations.
Wrapper draw_wrapper(const Persona& persona, double preamble_share, Random& random);
/// A system prompt that asks for refusals: what the words of a refusal are for, before any alignment.
std::string refuser_system(const Persona& persona);

struct IdentityRow {
  std::string question;
  std::string answer;
};
std::vector<IdentityRow> identity_rows(const Persona& persona);

/// Every template and phrase, for the vocabulary.
std::vector<std::string> all_phrases();

}  // namespace holdfast::organism
