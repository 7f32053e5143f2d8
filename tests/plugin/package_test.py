"""The installed package: moved to another folder, it builds and runs plugins as a stranger would, without the checkout.

Usage: package_test.py --build BUILD [--all] [unittest arguments]
Without --all, as ctest runs it, g++ and clang++ build one template each: all of them are built and tested inside the checkout anyway.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

# What `holdfast new` writes: kind, stage.
NEW = [("defense", "screen"), ("defense", "tune"), ("defense", "align"), ("defense", "repair"), ("defense", "serve"), ("attack", ""), ("judge", "")]


def name_of(kind, stage):
    return f"my-{stage}-{kind}" if stage else f"my-{kind}"


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        installed = cls.work / "installed"
        cls.ran("cmake", "--install", arguments.build, "--prefix", installed)
        cls.prefix = cls.work / "moved" / "holdfast"
        cls.prefix.parent.mkdir()
        installed.rename(cls.prefix)
        cls.holdfast = cls.prefix / "bin/holdfast"

    @classmethod
    def asked(cls, *command, folder=None, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_") and name != "LD_LIBRARY_PATH"}
        return subprocess.run(command, cwd=folder or cls.work, env=clean | environment, capture_output=True, text=True)

    @classmethod
    def ran(cls, *command, **options):
        done = cls.asked(*command, **options)
        if done.returncode != 0:
            raise AssertionError(f"{command} gave {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def new_plugins(self, folder, new):
        folder.mkdir()
        for kind, stage in new:
            self.ran(self.holdfast, "new", kind, name_of(kind, stage), *(["--stage", stage] if stage else []), folder=folder)
        lines = ["cmake_minimum_required(VERSION 3.25)", "project(all LANGUAGES CXX)", "find_package(holdfast 0.1 REQUIRED)", "enable_testing()"]
        lines += [f"add_subdirectory({name_of(*each)})" for each in new]
        (folder / "CMakeLists.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def built(self, source, build, compiler="g++"):
        self.ran("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={compiler}")
        self.ran("cmake", "--build", build, "-j2")

    def test_plugins_lie_where_the_program_looks_and_nowhere_else(self):
        doctor = self.ran(self.holdfast, "doctor")
        self.assertIn(f"{self.prefix}/lib/holdfast/plugins/vaccine.plugin.so", doctor)
        self.assertIn(", 0 refused", doctor)
        self.assertFalse((self.prefix / "plugins").exists())

    def test_nothing_names_the_checkout_or_the_first_prefix(self):
        """But for the link to libtorch, which holdfast-setup sets anew."""
        for path in sorted(self.prefix.rglob("*")):
            if path.is_file() and path.suffix not in (".so", ""):
                text = path.read_bytes()
                self.assertNotIn(arguments.build.encode(), text, path)
                self.assertNotIn(b"/installed/", text, path)
        dynamic = self.ran("readelf", "-d", self.holdfast, self.prefix / "lib/libholdfast_sdk.so", *self.prefix.glob("lib/holdfast/plugins/*.so"))
        for path in re.findall(r"(?:RUNPATH|RPATH).*\[(.*)\]", dynamic):
            for part in path.split(":"):
                self.assertTrue(part.startswith("$ORIGIN"), path)

    def test_shipped_scenarios_are_planned(self):
        scenarios = sorted(self.prefix.glob("share/holdfast/scenarios/*.toml"))
        self.assertEqual([path.stem for path in scenarios], ["effort", "field", "leaderboard", "quickstart"])
        for path in scenarios:
            self.assertRegex(self.ran(self.holdfast, "plan", path, "--results", self.work / "planned"), r"^\d+ cells\n")

    def test_new_plugins_build_and_pass_their_tests_with_each_compiler(self):
        compilers = [name for name in ("g++", "clang++", "clang++-14") if shutil.which(name)][:2]
        if len(compilers) < 2:
            print("clang++ is not installed: the templates are built with g++ alone", file=sys.stderr)
        for compiler in compilers:
            with self.subTest(compiler):
                folder = self.work / compiler.replace("+", "x")
                new = NEW if arguments.all and compiler == "g++" else [("defense", "screen" if compiler == "g++" else "tune")]
                self.new_plugins(folder, new)
                self.built(folder, folder / "build", compiler)
                self.ran("ctest", "--test-dir", folder / "build", "--output-on-failure", "--no-tests=error")
                listed = self.ran(self.holdfast, "list", "--plugin-path", folder / "build/plugins")
                self.assertNotRegex(listed, r"(?m)^refused")
                for each in new:
                    self.assertRegex(listed, rf"\n  {name_of(*each)} ")
                self.assertIn("leak.organism", self.a_run(folder, compiler))

    def a_run(self, folder, compiler):
        """One of the new plugins from its build to a row, by the environment's plugin path."""
        name = "my-screen-defense" if compiler == "g++" else "my-tune-defense"
        table = self.ran(self.holdfast, "run", f"{name}/scenario.toml", folder=folder, HOLDFAST_PLUGIN_PATH=str(folder / "build/plugins"))
        self.assertRegex(table, rf"\n{name} +\d")
        return table

    def test_a_plugin_installs_beside_the_shipped_ones(self):
        folder = self.work / "beside"
        folder.mkdir()
        self.ran(self.holdfast, "new", "judge", "beside-judge", folder=folder)
        self.built(folder / "beside-judge", folder / "build")
        self.ran("cmake", "--install", folder / "build", "--prefix", self.prefix)
        library = self.prefix / "lib/holdfast/plugins/beside-judge.plugin.so"
        try:
            self.assertIn(f"from {library}", self.ran(self.holdfast, "describe", "beside-judge"))
        finally:
            library.unlink()

    def test_plugins_that_do_not_fit_are_refused_with_both_versions(self):
        folder = self.work / "refused"
        folder.mkdir()
        for name in ("stale", "other-torch", "untagged"):
            shutil.copy(pathlib.Path(arguments.build) / f"plugin_fixtures/{name}.plugin.so", folder)
        listed = self.ran(self.holdfast, "list", "--plugin-path", folder)
        self.assertRegex(listed, r"refused: \S+/stale\.plugin\.so was built for holdfast_abi_api0_\S+, this program is holdfast_abi_api[1-9]\d*_\S+: rebuild the plugin")
        self.assertRegex(listed, r"refused: \S+/other-torch\.plugin\.so was built for \S+_torch1_99_7_\S+, this program is \S+_torch\d+_\d+_\d+_\S+: rebuild the plugin")
        self.assertRegex(listed, r"refused: \S+/untagged\.plugin\.so is not a holdfast plugin: it has no ABI tag")
        self.assertRegex(listed, r"\n  vaccine ")

    def test_the_first_defense_of_the_documentation_is_what_new_writes(self):
        folder = self.work / "documented"
        folder.mkdir()
        page = (self.prefix / "share/holdfast/docs/first-defense.md").read_text(encoding="utf-8")
        said = self.ran(self.holdfast, "new", "defense", "phrase-filter", folder=folder)
        source = (folder / "phrase-filter/phrase_filter.cpp").read_text(encoding="utf-8")
        self.assertIn(f"```cpp\n{source}```\n", page)
        for line in said.splitlines():
            if line.startswith("  "):
                self.assertIn("\n" + line.strip().replace(f"{self.prefix}/bin/holdfast", "holdfast").replace(str(self.prefix), "PREFIX"), page)

    def test_new_refuses_what_cannot_be(self):
        folder = self.work / "wrong"
        folder.mkdir()
        (folder / "mine").mkdir()
        for words, sentence in [
            (["defense", "Phrase_Filter"], '"Phrase_Filter" is no name of a plugin: expected lower-case words joined by hyphens'),
            (["defense", "vaccine"], 'the name "vaccine" is taken by the defense in '),
            (["judge", "coherence"], 'the name "coherence" is taken by a built-in judge'),
            (["defense", "test"], 'the name "test" means something else'),
            (["defense", "mine"], "there is a file or folder mine already"),
            (["defence", "mine-too"], 'there is no kind of plugin "defence". Did you mean "defense"?'),
            (["defense", "mine-too", "--stage", "serving"], 'there is no template for the stage "serving".'),
            (["attack", "mine-too", "--stage", "screen"], "--stage screen is given, and a new attack has no stages"),
        ]:
            with self.subTest(words):
                done = self.asked(self.holdfast, "new", *words, folder=folder)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(sentence, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual([path.name for path in folder.iterdir()], ["mine"])

    def test_without_libtorch_cmake_says_what_to_do(self):
        """The link leads nowhere on another machine until holdfast-setup has run; a libtorch can be given by hand."""
        link = self.prefix / "lib/holdfast/torch"
        libtorch = link.resolve()
        folder = self.work / "without"
        folder.mkdir()
        self.ran(self.holdfast, "new", "attack", "far-away", folder=folder)
        link.unlink()
        link.symlink_to("/nowhere")
        configure = ["cmake", "-S", folder / "far-away", "-B"]
        try:
            done = self.asked(*configure, folder / "none", f"-DCMAKE_PREFIX_PATH={self.prefix}")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"run {self.prefix}/bin/holdfast-setup", re.sub(r"\s+", " ", done.stderr))
            self.ran(*configure, folder / "root", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DLIBTORCH_ROOT={libtorch}/torch")
            self.ran(*configure, folder / "path", f"-DCMAKE_PREFIX_PATH={self.prefix};{libtorch}/torch")
            # The set-up finds what HOLDFAST_DEPS holds and sets the link; nothing is downloaded.
            self.ran(self.prefix / "bin/holdfast-setup", HOLDFAST_DEPS=str(libtorch.parent))
            self.assertEqual(link.resolve(), libtorch)
            self.ran(self.holdfast, "doctor")
        finally:
            link.unlink()
            link.symlink_to(libtorch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--all", action="store_true")
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
