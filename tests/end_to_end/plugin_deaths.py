"""Whole runs with plugins that die or hang before any stage begins, and with inputs that change while a run is under way.

Usage: plugin_deaths.py --holdfast build/release/bin/holdfast --misbehaving misbehaving.plugin.so --fixtures plugin_fixtures
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

BEGIN = """
[scenario]
name = "deaths"
workers = 3
threads = 1
stage_timeout = {stage_timeout}

[[model]]
name = "organism"
source = "organism"

[finetune]
epochs = 1

[evaluate]
max_new_tokens = 8
limit = 4

[[attack]]
plugin = "harmful-examples"
"""

END = ": mend it, or leave it out"


def attack(name, **settings):
    return section("attack", "faulty", name, settings)


def defense(name, **settings):
    return section("defense", "misbehaving", name, settings)


def section(kind, plugin, name, settings):
    lines = [f"[[{kind}]]", f'plugin = "{plugin}"', f'name = "{name}"']
    return "\n".join(lines + [f"{key} = {json.dumps(value)}" for key, value in settings.items()]) + "\n"


class PluginDeaths(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_deaths_"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.plugins = self.folder / "plugins"
        self.plugins.mkdir()
        shutil.copy(arguments.misbehaving, self.plugins)
        self.bring("faulty")

    def bring(self, fixture):
        return pathlib.Path(shutil.copy(pathlib.Path(arguments.fixtures) / f"{fixture}.plugin.so", self.plugins))

    def holdfast(self, verb, *more):
        command = [arguments.holdfast, verb, *more, "--plugin-path", str(self.plugins)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def write(self, text, stage_timeout=20):
        path = self.folder / "scenario.toml"
        path.write_text(BEGIN.format(stage_timeout=stage_timeout) + text, encoding="utf-8")
        return str(path)

    def run_scenario(self, scenario, code):
        done = self.holdfast("run", scenario, "--results", str(self.folder / "results"))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done, self.cells()

    def cells(self):
        with open(self.folder / "results" / "deaths" / "cells.jsonl", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return {(row["attack"], row["defense"]): row for row in rows}

    def assert_only(self, cells, wanted):
        """The cells that `wanted` (by attack and defense) gives a message have it; every other cell is ok."""
        for cell, row in cells.items():
            self.assertEqual(row.get("message", ""), wanted.get(cell, ""), cell)
            self.assertEqual(row["status"], "failed" if cell in wanted else "ok", cell)
        self.assertEqual(set(wanted) - set(cells), set())

    def test_a_defense_that_dies_when_it_is_made_costs_its_cells_only(self):
        path = self.plugins / "misbehaving.plugin.so"
        scenario = self.write(
            defense("crashes", how="crash", when_made=True)
            + defense("exits", how="exit", when_made=True)
            + defense("throws", how="throw-number", when_made=True)
            + defense("throws later", how="throw-number")
        )
        done, cells = self.run_scenario(scenario, code=1)
        stage = f"stage screen (plugin misbehaving): {path}: "
        tuned = "harmful-examples"
        wanted = {
            (tuned, "crashes"): f"{stage}the process was killed by signal 11 (Segmentation fault) while the plugin was made{END}",
            (tuned, "exits"): f"{stage}the process ended with status 3 while the plugin was made{END}",
            (tuned, "throws"): f"{stage}the plugin threw something that is no std::exception while it was made{END}",
            (tuned, "throws later"): "stage screen (plugin misbehaving): threw something that is no std::exception",
        }
        self.assertEqual(len(cells), 2 * 5)
        self.assert_only(cells, wanted)
        self.assertIn('the cells that need the defense "crashes" fail: ', done.stderr)
        again, cells = self.run_scenario(scenario, code=1)
        self.assert_only(cells, wanted)
        self.assertIn("4 of 10 cells failed", again.stdout)

    def test_an_attack_that_dies_costs_its_cells_only(self):
        path = self.plugins / "faulty.plugin.so"
        scenario = self.write(
            attack("made", where="constructor", how="hang") + attack("wraps", where="wrap", how="crash") + attack("sound"),
            stage_timeout=5,
        )
        _, cells = self.run_scenario(scenario, code=1)
        crash = f"{path}: the process was killed by signal 11 (Segmentation fault) while the plugin was asked to wrap prompts{END}"
        self.assert_only(
            cells,
            {
                ("made", "none"): f"stage collect (plugin faulty): {path}: the process was stopped after 5 s "
                f"while the plugin was made{END}",
                ("wraps", "none"): f"stage collect (plugin faulty): {crash}",
                ("none@wraps", "none"): f"stage generate (plugin faulty): {crash}",
            },
        )
        self.assertEqual(len(cells), 7)

    def test_a_library_that_dies_while_it_is_loaded_costs_its_cells_only(self):
        path = self.bring("dies-loading")
        self.bring("exits-loading")  # of no concern to this scenario
        scenario = self.write('[[defense]]\nplugin = "dies-loading"\n' + attack("sound"))
        _, cells = self.run_scenario(scenario, code=1)
        sentence = (
            f"stage generate (plugin dies-loading): {path}: the process was killed by signal 11 (Segmentation fault) "
            f"while the plugin was loaded{END}"
        )
        self.assertEqual(len(cells), 4 * 2)
        self.assert_only(cells, {cell: sentence for cell in cells if cell[1] == "dies-loading"})

    def test_a_judge_that_goes_wrong_costs_the_cells_that_need_it(self):
        path = self.bring("faulty-judge")

        def cells_with(code, **settings):
            given = "".join(f", {key} = {json.dumps(value)}" for key, value in settings.items())
            judges = f'[evaluate]\njudges = ["organism", {{ name = "faulty-judge"{given} }}]'
            scenario = pathlib.Path(self.write(""))
            scenario.write_text(scenario.read_text(encoding="utf-8").replace("[evaluate]", judges), encoding="utf-8")
            return self.run_scenario(str(scenario), code)

        _, cells = cells_with(0, outcome=0.5)
        for row in cells.values():
            self.assertEqual(row["metrics"]["outcome.faulty-judge"]["value"], 0.5)
            self.assertIn("leak.organism", row["metrics"])
        stage = "stage judge (plugin faulty-judge): "
        crash = "killed by signal 11 (Segmentation fault)"
        for settings, message in [
            ({"where": "constructor"}, f"{stage}{path}: the process was {crash} while the plugin was made{END}"),
            ({"where": "score", "how": "crash"}, crash),
            ({"where": "score", "how": "exception"}, f"{stage}an exception on purpose"),
            ({"where": "score", "how": "error"}, f"{stage}an error on purpose"),
            ({"how": "too-few"}, 'the judge "faulty-judge" gave 11 verdicts on 12 replies, expected one for each, in order'),
            ({"how": "no-json"}, "gave a raw verdict that cannot be stored"),
        ]:
            _, cells = cells_with(1, **settings)
            self.assertEqual(len(cells), 2)
            for row in cells.values():
                self.assertEqual(row["status"], "failed", settings)
                self.assertIn(message, row["message"])

    def test_plan_list_and_describe_say_it_and_go_on(self):
        path = self.bring("dies-loading")
        scenario = self.write(attack("wraps", where="wrap"))
        planned = self.holdfast("plan", scenario, "--results", str(self.folder / "results"))
        self.assertEqual(planned.returncode, 0, planned.stderr)
        self.assertIn('the cells that need the attack "wraps" fail: ', planned.stdout)
        listed = self.holdfast("list", "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        listed = json.loads(listed.stdout)
        self.assertLessEqual({"faulty", "harmful-examples"}, {each["name"] for each in listed["attacks"]})
        sentence = f"{path}: the process was killed by signal 11 (Segmentation fault) while the plugin was loaded{END}"
        self.assertEqual(listed["refused"], [sentence])
        refused = self.holdfast("describe", "dies-loading")
        self.assertEqual(refused.returncode, 2)
        self.assertEqual(refused.stderr, f'holdfast: the plugin "dies-loading" was refused: {sentence}\n')
        described = self.holdfast("describe", "faulty")
        self.assertEqual(described.returncode, 0, described.stderr)
        self.assertIn('reply (text, default "Yes.")', described.stdout)

    def test_a_file_that_changes_under_a_run_is_not_stored_under_the_old_key(self):
        rows = self.folder / "rows.jsonl"
        rows.write_text("{}\n", encoding="utf-8")
        _, cells = self.run_scenario(self.write(attack("writes", rows="rows.jsonl", how="write")), code=1)
        sentence = f"stage collect (plugin faulty): {rows} changed while the matrix was running: start the run again"
        cells.pop(("none@writes", "none"))  # asks through the same plugin, before the change or after it
        self.assert_only(cells, {("writes", "none"): sentence})
        self.assertEqual(len(list((self.folder / "results" / ".store" / "collect").iterdir())), 1)  # the other attack's


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--misbehaving", required=True)
    parser.add_argument("--fixtures", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
