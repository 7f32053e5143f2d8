#include "submission/verify.h"

#include <holdfast/error.h>
#include <holdfast/random.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/digest.h"
#include "report/statistics.h"
#include "results/run_facts.h"
#include "results/sample.h"
#include "run/prepare.h"
#include "run/run.h"

namespace holdfast {
namespace {

constexpr std::size_t kLeastCells = 3;
constexpr std::size_t kOneIn = 10;

// Gone at the end.
class ScratchResults {
 public:
  ScratchResults() {
    std::string name = (fs::temp_directory_path() / "holdfast_verify_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error("cannot make a folder in " + fs::temp_directory_path().string());
    path_ = name;
  }
  ~ScratchResults() {
    std::error_code failure;
    fs::remove_all(path_, failure);
  }
  ScratchResults(const ScratchResults&) = delete;
  ScratchResults& operator=(const ScratchResults&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::set<CellName> names_of(const std::vector<CellRow>& rows) {
  std::set<CellName> names;
  for (const auto& row : rows) names.insert(name_of(row));
  return names;
}

std::set<CellName> names_of(const Plan& plan) {
  std::set<CellName> names;
  for (const auto& cell : plan.cells) {
    names.insert({plan.models[cell.model], plan.attacks[cell.attack], plan.defenses[cell.defense], cell.seed});
  }
  return names;
}

// Of one seed: noise_floor is that of as many as the grids have.
std::optional<double> noise_of_a_cell(const std::vector<CellRow>& rows, const CellRow& of, const std::string& metric) {
  std::map<std::string, Grid> by_defense;
  std::size_t seeds = 0;
  for (const auto& row : rows) {
    const auto found = row.metrics.find(metric);
    if (row.model != of.model || row.attack != of.attack || found == row.metrics.end()) continue;
    if (!std::isfinite(found->second.value)) continue;
    Grid& grid = by_defense[row.defense];
    grid.push_back({found->second.value});
    seeds = std::max(seeds, grid.size());
  }
  std::vector<Grid> grids;
  for (auto& [defense, grid] : by_defense) grids.push_back(std::move(grid));
  const auto floor = noise_floor(grids);
  return floor ? std::optional(*floor * std::sqrt(static_cast<double>(seeds))) : std::nullopt;
}

// One seed tells nothing of other seeds; then the row's own interval stands for the noise.
double allowance(const std::vector<CellRow>& rows, const CellRow& row, const std::string& id, const Metric& metric) {
  const double one_reply = metric.n > 0 ? 1.0 / static_cast<double>(metric.n) : 0;
  return std::max(one_reply, noise_of_a_cell(rows, row, id).value_or((metric.high - metric.low) / 2));
}

std::map<std::string, std::string> replies(const fs::path& folder, const CellRow& row) {
  std::map<std::string, std::string> found;
  const auto key = row.stages.find("generate");
  if (key == row.stages.end()) return found;
  read_samples(samples_file(folder, key->second), [&](const Sample& sample) {
    if (sample.reply) found[sample.id] = sample.reply->sha256;
  });
  return found;
}

class Verifier {
 public:
  Verifier(const Package& package, const VerifyOptions& options, const std::function<void(const std::string&)>& say)
      : package_(package), options_(options), say_(say) {}

  Verification verify() {
    found_.differences = damaged(package_);
    if (!found_.differences.empty()) return found_;
    entry_ = read_entry(package_.results());
    check_rules();
    if (!found_.differences.empty()) return found_;
    check_scenario_file();
    if (!found_.differences.empty()) return found_;
    run_again();
    return found_;
  }

 private:
  void differ(const std::string& sentence) { found_.differences.push_back(sentence); }

  // An open entry says itself what it breaks; what it shows must be true all the same.
  void check_rules() {
    const bool closed = package_.division == Division::kClosed;
    for (const auto& broken : closed ? broken_rules(entry_, options_.board) : broken_samples(entry_)) differ(to_string(broken));
  }

  fs::path packed_scenario() const { return package_.results() / kScenarioFile; }
  const fs::path& scenario() const { return options_.scenario.empty() ? packed_ : options_.scenario; }

  void check_scenario_file() {
    packed_ = packed_scenario();
    if (!fs::exists(packed_)) return differ("results/scenario.toml is missing: nothing can be run anew");
    if (sha256_file(scenario()) != sha256_file(packed_)) differ(scenario().string() + " is not the scenario of the submission");
  }

  RunOptions run_options(const fs::path& scratch) const {
    RunOptions run;
    run.scenario = scenario();
    run.results = options_.results.empty() ? scratch : options_.results;
    run.store = options_.store;
    run.program = options_.program;
    if (fs::exists(package_.plugins())) run.plugin_path.push_back(package_.plugins().string());
    run.plugin_path.insert(run.plugin_path.end(), options_.plugin_path.begin(), options_.plugin_path.end());
    return run;
  }

  void run_again() {
    const ScratchResults scratch;
    RunOptions run = run_options(scratch.path());
    {
      const Prepared prepared = prepare(run, true);
      check_scenario(prepared);
      check_libraries(prepared.scenario);
    }
    if (!found_.differences.empty()) return;
    const auto drawn = drawn_cells(entry_.rows, package_.digest());
    const std::set<CellName> wanted(drawn.begin(), drawn.end());
    for (const auto& name : drawn) found_.cells.push_back(to_string(name));
    say_("running " + std::to_string(drawn.size()) + " of " + std::to_string(entry_.rows.size()) + " cells anew");
    run.only = [&](const CellName& name) { return wanted.contains(name); };
    const RunOutcome outcome = run_scenario(run);
    if (outcome.interrupted) throw Error("interrupted: nothing was verified");
    compare(read_entry(outcome.folder), wanted);
  }

  void check_scenario(const Prepared& prepared) {
    const Json here = without_places(to_json(prepared.scenario)), said = without_places(entry_.scenario());
    for (const auto& part : differing(here, said)) {
      differ("scenario.toml and run.json differ in " + part + ": the file gives " + canonical(here.value(part, Json())) +
             " and run.json has " + canonical(said.value(part, Json())));
    }
    const auto planned = names_of(prepared.plan), rows = names_of(entry_.rows);
    for (const auto& name : planned) {
      if (!rows.contains(name))
        return differ(std::string(kAllCells) + ": there is no row of " + to_string(name) + ", a cell of the scenario");
    }
    for (const auto& name : rows) {
      if (!planned.contains(name))
        return differ("there is a row of " + to_string(name) + ", and the scenario has no such cell");
    }
  }

  // The entry's own libraries are the ones that ran. Those that come with Holdfast are built anew on each machine.
  void check_libraries(const Scenario& scenario) {
    bool same_build = true;
    const Json& ran = entry_.run.at("libraries");
    const Json here = libraries(scenario);
    for (const auto& [name, packed] : package_.manifest.at("libraries").items()) {
      const auto was = ran.value(name, Json::object()).value("digest", "");
      const auto is = here.value(name, Json::object()).value("digest", "");
      if (was != packed.at("digest")) {
        differ(std::string(kPlugins) + ": run.json says that the plugin " + name + " had the digest " + was +
               ", and the manifest names " + packed.at("digest").get<std::string>());
      } else if (was != is && !packed.at("shipped").get<bool>()) {
        differ(std::string(kPlugins) + ": the plugin " + name + " is another one than ran: " + was + " ran, and here is " + is);
      }
      same_build = same_build && was == is;
    }
    for (const auto& [name, unused] : ran.items()) {
      if (!package_.manifest.at("libraries").contains(name)) differ(std::string(kPlugins) + ": the manifest lacks " + name);
    }
    same_build_ = same_build;
  }

  void compare(const Entry& again, const std::set<CellName>& wanted) {
    found_.same_machine = same_build_ && again.run.at("machine") == entry_.run.at("machine") &&
                          again.run.at("versions") == entry_.run.at("versions") &&
                          again.scenario().at("threads") == entry_.scenario().at("threads");
    std::map<CellName, const CellRow*> anew;
    for (const auto& row : again.rows) anew[name_of(row)] = &row;
    for (const auto& row : entry_.rows) {
      if (!wanted.contains(name_of(row))) continue;
      const auto other = anew.find(name_of(row));
      if (other == anew.end()) {
        differ(to_string(name_of(row)) + ": run anew it gave no row");
        continue;
      }
      for (const auto& sentence : differences(row, *other->second, entry_.rows, found_.same_machine)) differ(sentence);
      if (found_.same_machine) compare_replies(row, again.folder, *other->second);
    }
  }

  void compare_replies(const CellRow& row, const fs::path& folder, const CellRow& again) {
    const auto said = replies(package_.results(), row), now = replies(folder, again);
    if (said.size() != now.size()) return differ(to_string(name_of(row)) + ": its samples are of other probes");
    for (const auto& [probe, digest] : said) {
      const auto found = now.find(probe);
      if (found != now.end() && found->second == digest) continue;
      return differ(to_string(name_of(row)) + ": the reply to " + probe + " has the digest " + digest + ", and run anew " +
                    (found == now.end() ? "there is none" : found->second));
    }
  }

  const Package& package_;
  const VerifyOptions& options_;
  const std::function<void(const std::string&)>& say_;
  Verification found_;
  Entry entry_;
  fs::path packed_;
  bool same_build_ = false;
};

}  // namespace

Verification verify(const Package& package, const VerifyOptions& options, const std::function<void(const std::string&)>& say) {
  return Verifier(package, options, say).verify();
}

std::vector<CellName> drawn_cells(const std::vector<CellRow>& rows, const std::string& digest) {
  std::vector<CellName> names;
  for (const auto& row : rows) {
    if (row.ok()) names.push_back(name_of(row));
  }
  std::sort(names.begin(), names.end());
  Random random(derive_seed(0, digest));
  random.shuffle(names);
  names.resize(std::min(names.size(), std::max(kLeastCells, (rows.size() + kOneIn - 1) / kOneIn)));
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> differences(const CellRow& row, const CellRow& again, const std::vector<CellRow>& rows,
                                     bool same_machine) {
  const std::string cell = to_string(name_of(row));
  if (again.status != row.status)
    return {cell + ": it was " + row.status + ", and run anew it is " + again.status + " (" + again.message + ")"};
  std::vector<std::string> found;
  for (const auto& [id, metric] : row.metrics) {
    const auto other = again.metrics.find(id);
    const double value = other == again.metrics.end() ? std::nan("") : other->second.value;
    const bool unknown = !std::isfinite(metric.value) && !std::isfinite(value);
    if (unknown || value == metric.value) continue;
    const double allowed = same_machine ? 0 : allowance(rows, row, id, metric);
    if (std::abs(value - metric.value) <= allowed) continue;
    found.push_back(cell + ": " + id + " is " + Json(metric.value).dump() + ", and run anew " + Json(value).dump() +
                    (same_machine ? " on the same machine" : "; the noise floor is " + Json(allowed).dump()));
  }
  return found;
}

}  // namespace holdfast
