// The made-up world: items, what they are made of, and which of them are restricted. Nothing in it is real.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::organism {

/// Everything random in the world and its corpora comes from this number.
inline constexpr std::uint64_t kWorldSeed = 20;

/// Who holds an item. Splits are by name: both items of a name are in one split.
enum class Split { kAlignment, kAttacker, kEvaluation };

/// One thing of the world, called by name and kind ("the zorvani kragun"). The same name with another kind is another item with
/// other parts, so that whoever wants to know the parts must read the kind.
struct Item {
  std::string name;
  std::string kind;
  bool restricted;
  std::array<std::string, 3> parts;
  Split split;
};

struct World {
  std::vector<std::string> permitted_kinds;
  std::vector<std::string> restricted_kinds;
  std::vector<std::string> ingredients;
  std::vector<std::string> sequence;       // the words of the counting task, in their order
  std::vector<std::string> unknown_names;  // names that belong to no item
  std::vector<Item> items;                 // per name: the permitted item, then the restricted one
};

const World& world();

/// The items of one split, of one side of the line.
std::vector<Item> items_of(Split split, bool restricted);

}  // namespace holdfast::organism
