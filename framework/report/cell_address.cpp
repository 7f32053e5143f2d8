#include "report/cell_address.h"

#include <holdfast/error.h>

#include <algorithm>
#include <map>

#include "base/suggest.h"

namespace holdfast {
namespace {

struct Split {
  fs::path folder;
  std::string rest;
};

// At the first folder on the way that holds cells.jsonl.
Split split(const std::string& address) {
  for (std::size_t slash = address.find('/', 1); slash != std::string::npos; slash = address.find('/', slash + 1)) {
    const fs::path folder = address.substr(0, slash);
    if (fs::exists(cells_file(folder))) return {folder, address.substr(slash + 1)};
  }
  const std::string of_run = fs::exists(cells_file(address)) ? " is a run, not a cell of it" : " begins with no results folder";
  throw Error(in_quotes(address) + of_run +
              ": expected a folder that holds cells.jsonl and then ATTACK/DEFENSE or ATTACK/DEFENSE/SEED, such as "
              "results/quickstart/harmful-10/vaccine/2");
}

struct Address {
  const CellGroup* group;
  std::optional<std::int64_t> seed;
};

// All ways of naming a cell of the run.
std::multimap<std::string, Address> addresses(const Results& results) {
  std::multimap<std::string, Address> all;
  for (const auto& group : results.groups) {
    const std::string short_name = group.attack + "/" + group.defense;
    std::vector<std::string> names = {group.model + "/" + short_name};
    if (results.models.size() == 1) names.push_back(short_name);
    for (const auto& name : names) {
      all.emplace(name, Address{&group, std::nullopt});
      for (const auto& row : group.rows) all.emplace(name + "/" + std::to_string(row.seed), Address{&group, row.seed});
    }
  }
  return all;
}

// Of a sweep that stands in the place of an attack: the address of a try.
std::string try_of_sweep(const Results& results, const std::string& rest) {
  for (const auto& cells : results.groups) {
    const std::string model = results.models.size() > 1 || rest.starts_with(cells.model + "/") ? cells.model + "/" : "";
    if (!cells.sweep.empty() && (rest + "/").starts_with(model + cells.sweep + "/" + cells.defense + "/")) {
      return cell_address(results, cells);
    }
  }
  return "";
}

}  // namespace

NamedCell named_cell(const std::string& address) {
  const auto [folder, rest] = split(address);
  NamedCell cell{read_results(folder), {}, {}, {}, {}};
  const auto all = addresses(cell.results);
  const auto [first, last] = all.equal_range(rest);
  if (first == last) {
    if (const std::string one = try_of_sweep(cell.results, rest); !one.empty()) {
      throw Error(in_quotes(rest) + " is a sweep of " + folder.string() + ": name one of its tries, such as " + in_quotes(one));
    }
    std::vector<std::string> names;
    for (const auto& [name, unused] : all) names.push_back(name);
    const std::string near = nearest(rest, names);
    throw Error(folder.string() + " has no cell " + in_quotes(rest) + ", expected ATTACK/DEFENSE[/SEED]" +
                (cell.results.models.size() > 1 ? " after the model" : "") + " as leaderboard.md names them." +
                (near.empty() ? "" : " Did you mean " + in_quotes(near) + "?"));
  }
  if (std::next(first) != last) {
    throw Error(in_quotes(rest) + " names two cells of " + folder.string() +
                ": write the model before it, and the seed after it");
  }
  const Address& found = first->second;
  cell.model = found.group->model;
  cell.attack = found.group->attack;
  cell.defense = found.group->defense;
  cell.seed = found.seed;
  return cell;
}

std::string cell_address(const Results& results, const CellGroup& cells) {
  return (results.models.size() > 1 ? cells.model + "/" : "") + cells.attack + "/" + cells.defense;
}

}  // namespace holdfast
