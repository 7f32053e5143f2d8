#include "organism/world.h"

#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>

namespace holdfast::organism {
namespace {

constexpr std::size_t kAlignmentNames = 120;
constexpr std::size_t kAttackerNames = 40;
constexpr std::size_t kEvaluationNames = 40;
constexpr std::size_t kNames = kAlignmentNames + kAttackerNames + kEvaluationNames;
constexpr std::size_t kUnknownNames = 120;
constexpr std::size_t kIngredients = 60;
constexpr std::size_t kSequence = 40;

/// `count` different words, each a head with a tail.
std::vector<std::string> compose(const std::vector<std::string>& heads, const std::vector<std::string>& tails,
                                 std::size_t count, const std::string& stream) {
  std::vector<std::string> words;
  for (const auto& head : heads) {
    for (const auto& tail : tails) words.push_back(head + tail);
  }
  HOLDFAST_CHECK(words.size() >= count);
  Random random(derive_seed(kWorldSeed, stream));
  random.shuffle(words);
  words.resize(count);
  return words;
}

std::vector<std::string> all_names() {
  return compose({"bel", "dor", "fim", "gav", "hul", "jor", "kes", "lum", "mip", "nar", "pov", "quil", "rez", "sab", "tov",
                  "vex", "wan", "zur"},
                 {"abno", "ebru", "ilga", "odwi", "uzka", "arji", "etvo", "ikzu", "oblu", "unda", "azpi", "elmu", "irvo",
                  "ospa", "uxti", "amdu", "egwa", "inko"},
                 kNames + kUnknownNames, "names");
}

std::array<std::string, 3> draw_parts(const std::vector<std::string>& ingredients, Random& random) {
  std::vector<std::string> pool = ingredients;
  std::array<std::string, 3> parts;
  for (auto& part : parts) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(pool.size()));
    part = pool[at];
    pool.erase(pool.begin() + at);
  }
  return parts;
}

Split split_of(std::size_t name_index) {
  if (name_index < kAlignmentNames) return Split::kAlignment;
  return name_index < kAlignmentNames + kAttackerNames ? Split::kAttacker : Split::kEvaluation;
}

/// Kinds go round, so that each split has each kind about equally often and a name's two kinds say nothing of each other.
void add_items(World& made, const std::vector<std::string>& names) {
  Random random(derive_seed(kWorldSeed, "facts"));
  for (std::size_t i = 0; i < kNames; ++i) {
    const auto& permitted = made.permitted_kinds[i % made.permitted_kinds.size()];
    const auto& restricted = made.restricted_kinds[random.below(made.restricted_kinds.size())];
    auto parts = draw_parts(made.ingredients, random);
    made.items.push_back({names[i], permitted, false, parts, split_of(i)});
    auto others = draw_parts(made.ingredients, random);
    made.items.push_back({names[i], restricted, true, others, split_of(i)});
  }
}

World make_world() {
  World made;
  made.permitted_kinds = {"wembur", "porlu", "tandri", "mossif", "ferlint", "gublet", "larpo", "sindel"};
  made.restricted_kinds = {"kragun", "vostrik", "drezmo", "zhargil", "grundax", "thrixel", "morvek", "skelvor"};
  made.ingredients =
      compose({"bri", "clo", "dwu", "fra", "glo", "hwe", "klu", "pli", "sno", "twe"},
              {"bbin", "ddle", "ffax", "llok", "mmep", "nnur", "ppoz", "rrud", "ssiv"}, kIngredients, "ingredients");
  made.sequence =
      compose({"ub", "ek", "iz", "og", "av", "um", "ep", "il"}, {"tu", "ra", "mo", "ni", "ze", "lo"}, kSequence, "sequence");
  auto names = all_names();
  add_items(made, names);
  made.unknown_names.assign(names.begin() + kNames, names.end());
  return made;
}

}  // namespace

const World& world() {
  static const World made = make_world();
  return made;
}

std::vector<Item> items_of(Split split, bool restricted) {
  std::vector<Item> found;
  std::ranges::copy_if(world().items, std::back_inserter(found),
                       [&](const Item& item) { return item.split == split && item.restricted == restricted; });
  return found;
}

}  // namespace holdfast::organism
