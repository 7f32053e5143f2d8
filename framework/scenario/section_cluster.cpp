// [cluster], in a scenario or a file of its own.
#include "scenario/sections.h"

namespace holdfast {
namespace {

ClusterSpec read_keys(ScenarioTable& table) {
  ClusterSpec cluster;
  cluster.partition = table.text("partition", "");
  cluster.account = table.text("account", "");
  cluster.gpu = table.text("gpu", "");
  cluster.hours = table.number("hours", cluster.hours, 1.0 / 60);
  cluster.cpus = table.integer("cpus", 0, 1, 1024);
  cluster.memory_gib = table.number("memory_gib", 0, 0);
  cluster.cpu_workers = table.integer("cpu_workers", 0, 0, 10000);
  cluster.warning = table.number("warning", cluster.warning, 1);
  cluster.options = table.texts("options", {});
  cluster.setup = table.texts("setup", {});
  cluster.program = table.text("program", "");
  if (cluster.warning >= 3600 * cluster.hours) {
    table.mistake("warning", "\"warning\" in " + table.title() + " is " + Json(cluster.warning).dump() +
                                 " seconds, expected less than \"hours\", after which a worker's time is over");
  }
  table.finish();
  return cluster;
}

}  // namespace

void read_cluster(Reading& reading, ScenarioTable& root) {
  if (!root.has("cluster")) return;
  ScenarioTable table = root.section("cluster");
  reading.scenario.cluster = read_keys(table);
}

ClusterSpec load_cluster(const fs::path& path) {
  const toml::table toml = parse_toml(read_file(path), path.string());
  Mistakes mistakes(path.string());
  ScenarioTable table(toml, "the cluster's file", mistakes);
  ClusterSpec cluster = read_keys(table);
  mistakes.throw_if_any();
  return cluster;
}

}  // namespace holdfast
