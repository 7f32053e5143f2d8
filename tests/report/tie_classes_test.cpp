// The interval of a worst case and the classes made of it, on boards of known truth.
#include "report/tie_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/known_worlds.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;

// Defenses x attacks on the same seeds and probes. A reply is harmful with the probability phi(harm + seed + probe): a seed has
// an effect of its own on each cell, of which a share is common to all, and probes are as easy for all cells.
struct BoardWorld {
  std::size_t defenses, attacks, seeds, probes;
  double seed_deviation, probe_deviation, common = 0.3;
};

using Harms = std::vector<std::vector<double>>;  // [defense][attack]

struct Cell {
  double truth = 0;
  double luck = 0;  // mean effect of its seeds
  Grid grid;
};

double truth_of(const BoardWorld& world, double harm) {
  return phi(harm / std::sqrt(1 + world.seed_deviation * world.seed_deviation + world.probe_deviation * world.probe_deviation));
}

std::vector<double> normals(std::size_t count, double deviation, Random& random) {
  std::vector<double> values(count);
  for (auto& each : values) each = deviation * normal(random);
  return values;
}

std::vector<std::vector<Cell>> drawn_board(const BoardWorld& world, const Harms& harms, Random& random) {
  const auto probes = normals(world.probes, world.probe_deviation, random);
  const auto shared = normals(world.seeds, world.seed_deviation * std::sqrt(world.common), random);
  std::vector<std::vector<Cell>> board;
  for (const auto& defense : harms) {
    auto& cells = board.emplace_back();
    for (const double harm : defense) {
      Cell cell{truth_of(world, harm), 0, {}};
      for (const double both : shared) {
        const double effect = both + world.seed_deviation * std::sqrt(1 - world.common) * normal(random);
        cell.luck += effect / static_cast<double>(world.seeds);
        auto& row = cell.grid.emplace_back();
        for (const double probe : probes) row.push_back(random.uniform() < phi(harm + effect + probe) ? 1 : 0);
      }
      cells.push_back(std::move(cell));
    }
  }
  return board;
}

WorstRate worst_of(const std::vector<Cell>& cells, std::size_t compared) {
  std::vector<const Grid*> grids;
  for (const auto& cell : cells) grids.push_back(&cell.grid);
  return worst_rate(grids, compared);
}

double true_worst(const std::vector<Cell>& cells) {
  double truth = 0;
  for (const auto& cell : cells) truth = std::max(truth, cell.truth);
  return truth;
}

// As the ranking makes them: the noise of an attack's column from those that are narrow enough.
std::vector<Contender> contenders_of(const std::vector<std::vector<Cell>>& board) {
  std::vector<Contender> contenders;
  std::vector<std::size_t> worst;
  for (const auto& cells : board) {
    const WorstRate found = worst_of(cells, board.size());
    contenders.push_back({std::string(1, static_cast<char>('a' + contenders.size())), found.interval});
    worst.push_back(found.place);
  }
  for (std::size_t d = 0; d < contenders.size(); ++d) {
    std::vector<Grid> column;
    for (std::size_t e = 0; e < board.size(); ++e) {
      if (contenders[e].placed()) column.push_back(board[e][worst[d]].grid);
    }
    contenders[d].noise = noise_floor(column).value_or(0);
  }
  return contenders;
}

constexpr int kBoards = 400;
constexpr double kError = 0.033;  // three standard errors of 5 % in as many boards

Harms any_harms(const BoardWorld& world, Random& random) {
  Harms harms(world.defenses, std::vector<double>(world.attacks));
  for (auto& defense : harms) {
    for (auto& harm : defense) harm = -2.5 + 3.5 * random.uniform();
  }
  return harms;
}

const std::vector<BoardWorld>& worlds() {
  static const std::vector<BoardWorld> worlds = {
      {6, 3, 3, 60, 0, 0.5},    {6, 3, 3, 60, 0.3, 1},        {6, 3, 3, 60, 0.7, 0.5},  {6, 3, 5, 60, 0.5, 0.5},
      {12, 4, 5, 40, 0.3, 0.5}, {6, 8, 5, 40, 0.7, 0.5, 0.8}, {6, 3, 10, 40, 0.5, 0.5}, {6, 3, 10, 40, 1, 0.5, 0}};
  return worlds;
}

std::string text(const BoardWorld& world) {
  return std::to_string(world.seeds) + " seeds, seed deviation " + std::to_string(world.seed_deviation);
}

TEST(WorstRate, HoldsTheTrueWorstCaseOfAllDefensesTogetherAsOftenAsItSays) {
  for (const auto& world : worlds()) {
    const double held = share(kBoards, 1, [&](Random& random) {
      const auto board = drawn_board(world, any_harms(world, random), random);
      return std::all_of(board.begin(), board.end(), [&](const std::vector<Cell>& cells) {
        const Interval worst = worst_of(cells, board.size()).interval;
        return worst.low <= true_worst(cells) && true_worst(cells) <= worst.high;
      });
    });
    EXPECT_GE(held, 0.95 - kError) << text(world);
  }
}

// The largest of many tries of one truth lies above it; an interval that forgets the choice would leave the truth out below.
TEST(WorstRate, OfManyTriesOfOneTruthHoldsIt) {
  const BoardWorld world{1, 40, 5, 60, 0.3, 0.5, 0};
  const Harms harms(1, std::vector<double>(world.attacks, -0.5));
  int forgetful = 0;
  const double held = share(kBoards, 2, [&](Random& random) {
    const auto cells = drawn_board(world, harms, random).front();
    const WorstRate worst = worst_of(cells, 1);
    EXPECT_GT(worst.interval.value, cells[0].truth);
    forgetful += rate_interval(cells[worst.place].grid).low > cells[0].truth;
    return worst.interval.low <= cells[0].truth && cells[0].truth <= worst.interval.high;
  });
  EXPECT_GE(held, 0.95 - kError);
  EXPECT_GE(forgetful, kBoards / 5);
}

// What counts is chosen on the same models: here a cell counts where its seeds were tame, whose harm then is underestimated.
TEST(WorstRate, HoldsTheWorstOfTheCellsThatCountByChance) {
  const BoardWorld world{6, 4, 5, 60, 0.3, 0.5, 0};
  const double held = share(kBoards, 3, [&](Random& random) {
    auto board = drawn_board(world, any_harms(world, random), random);
    return std::all_of(board.begin(), board.end(), [&](std::vector<Cell>& cells) {
      std::erase_if(cells, [](const Cell& cell) { return cell.luck > 0.05; });
      if (cells.empty()) return true;
      const Interval worst = worst_of(cells, world.defenses).interval;
      return worst.low <= true_worst(cells) && true_worst(cells) <= worst.high;
    });
  });
  EXPECT_GE(held, 0.95 - kError);
}

TEST(WorstRate, IsASingleCellsIntervalWhereNothingElseIsCompared) {
  Random random(4);
  const BoardWorld world{1, 1, 3, 60, 0.3, 0.5};
  const auto cells = drawn_board(world, {{0}}, random).front();
  const Interval alone = rate_interval(cells[0].grid);
  const Interval worst = worst_of(cells, 1).interval;
  EXPECT_DOUBLE_EQ(worst.low, alone.low);
  EXPECT_DOUBLE_EQ(worst.high, alone.high);
  EXPECT_GT(worst_of(cells, 10).interval.high, alone.high);
  EXPECT_LT(worst_of(cells, 10).interval.low, alone.low);
}

// Two defenses in different classes although the truth is equal or the other way round.
bool false_order(const std::vector<std::vector<Cell>>& board) {
  const auto classes = tie_classes(contenders_of(board));
  double worst_before = -1;
  for (const auto& members : classes) {
    double worst_here = -1;
    for (const auto& member : members) {
      const double truth = true_worst(board[static_cast<std::size_t>(member.name[0] - 'a')]);
      if (truth <= worst_before) return true;
      worst_here = std::max(worst_here, truth);
    }
    worst_before = std::max(worst_before, worst_here);
  }
  return false;
}

TEST(TieClasses, OrderFalselyInAtMostFiveBoardsOfAHundred) {
  for (const auto& world : worlds()) {
    EXPECT_LE(
        share(kBoards, 5, [&](Random& random) { return false_order(drawn_board(world, any_harms(world, random), random)); }),
        0.05 + kError)
        << text(world);
  }
}

// The hardest for an interval: every defense is as good, under one attack, and seeds differ so much that a lucky few look
// alike.
TEST(TieClasses, EqualDefensesAreOneClass) {
  for (BoardWorld world :
       {BoardWorld{8, 1, 3, 60, 1, 0.5, 0}, BoardWorld{8, 1, 5, 60, 1, 0.5, 0}, BoardWorld{8, 1, 10, 40, 1, 0.5, 0},
        BoardWorld{8, 3, 5, 60, 0.3, 0.5}, BoardWorld{8, 3, 10, 40, 0, 0.5}}) {
    for (const double harm : {-2.0, -1.0, 0.5}) {
      const Harms harms(world.defenses, std::vector<double>(world.attacks, harm));
      const double split = share(kBoards / 2, 6, [&](Random& random) {
        return tie_classes(contenders_of(drawn_board(world, harms, random))).size() > 1;
      });
      EXPECT_LE(split, 0.05 + 1.4 * kError) << text(world) << ", harm " << harm;
    }
  }
}

TEST(TieClasses, DifferentDefensesAreToldApartWithSeedsEnough) {
  const BoardWorld world{4, 3, 10, 80, 0.2, 0.5};
  const Harms harms = {{-2.5, -2.5, -2.5}, {-2.5, -2.4, -2.6}, {-1, -0.5, -2}, {0.5, 1, -1}};
  const double told = share(kBoards / 4, 7, [&](Random& random) {
    const auto classes = tie_classes(contenders_of(drawn_board(world, harms, random)));
    return classes.size() == 3 && classes[0].size() == 2 && classes[1][0].name == "c" && classes[2][0].name == "d";
  });
  EXPECT_GE(told, 0.9);
}

Contender contender(const std::string& name, double value, double reach, double noise = 0) {
  return {name, {value, value - reach, value + reach}, noise};
}

std::vector<std::vector<std::string>> names(const std::vector<std::vector<Contender>>& classes) {
  std::vector<std::vector<std::string>> all;
  for (const auto& members : classes) {
    auto& one = all.emplace_back();
    for (const auto& member : members) one.push_back(member.name);
  }
  return all;
}

using Names = std::vector<std::string>;

TEST(TieClasses, AreMadeOfWhatOverlapsAndAreAlphabeticalInside) {
  EXPECT_THAT(names(tie_classes({contender("z", 0.10, 0.02), contender("b", 0.02, 0.01), contender("y", 0.12, 0.02),
                                 contender("a", 0.025, 0.01), contender("x", 0.14, 0.02)})),
              ElementsAre(Names{"a", "b"}, Names{"x", "y", "z"}));  // x and z are tied by y between them
}

TEST(TieClasses, ADifferenceBelowTheNoiseFloorIsNoOrder) {
  const std::vector<Contender> quiet = {contender("a", 0.1, 0.01), contender("b", 0.2, 0.01)};
  EXPECT_EQ(tie_classes(quiet).size(), 2u);
  EXPECT_EQ(tie_classes({contender("a", 0.1, 0.01, 0.11), contender("b", 0.2, 0.01)}).size(), 1u);
  EXPECT_EQ(tie_classes({contender("a", 0.1, 0.01), contender("b", 0.2, 0.01, 0.11)}).size(), 1u);
}

TEST(TieClasses, ANoisyEntrantGluesNothing) {
  const std::vector<Contender> contenders = {contender("a", 0.1, 0.05), contender("b", 0.5, 0.1), contender("noisy", 0.4, 0.3)};
  EXPECT_THAT(names(tie_classes(contenders)), ElementsAre(Names{"a"}, Names{"b"}));
  const Places places = places_of(contenders[2], contenders);
  EXPECT_EQ(places.low, 1);
  EXPECT_EQ(places.high, 3);
  const std::vector<Contender> below = {contender("a", 0.1, 0.02), contender("b", 0.1, 0.02), contender("noisy", 0.6, 0.3)};
  EXPECT_EQ(places_of(below[2], below).low, 3);
}

// By its definition: connected components of "not separated".
TEST(TieClasses, AreTheComponentsOfWhatIsNotSeparated) {
  Random random(8);
  for (int round = 0; round < 300; ++round) {
    std::vector<Contender> all;
    for (char name = 'a'; name < 'i'; ++name) {
      all.push_back(contender(std::string(1, name), random.uniform(), 0.06 * random.uniform(), 0.1 * random.uniform()));
    }
    std::vector<std::size_t> root(all.size());
    std::iota(root.begin(), root.end(), 0);
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (separated(all[i], all[j]) || separated(all[j], all[i])) continue;
        const std::size_t old = root[i];
        std::replace(root.begin(), root.end(), old, root[j]);
      }
    }
    const auto classes = tie_classes(all);
    EXPECT_EQ(classes.size(), std::set<std::size_t>(root.begin(), root.end()).size());
    for (std::size_t c = 0; c < classes.size(); ++c) {
      for (const auto& member : classes[c]) {
        EXPECT_EQ(root[static_cast<std::size_t>(member.name[0] - 'a')],
                  root[static_cast<std::size_t>(classes[c][0].name[0] - 'a')]);
        for (std::size_t later = c + 1; later < classes.size(); ++later) {
          for (const auto& other : classes[later]) EXPECT_TRUE(separated(member, other));
        }
      }
    }
  }
}

}  // namespace
}  // namespace holdfast
