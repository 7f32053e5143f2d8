"""No two types of the framework that other files see have one name: of two such types the linker keeps one's functions for both.

Usage: type_names.py --framework framework [unittest arguments]
"""

import argparse
import collections
import pathlib
import re
import sys
import unittest

TYPE = re.compile(r"(?:struct|class|enum class) (?:HOLDFAST_PUBLIC )?(\w+)(?: final)?(?: :[^;{]*)?\s*\{")
# Nested namespaces of the framework, whose types have other names.
NAMESPACE = re.compile(r"namespace (?:HOLDFAST_PUBLIC )?(holdfast(?:::\w+)?) \{")

arguments = argparse.Namespace()


def types_of(lines):
    """The types that a file defines where others see them, with their namespace."""
    namespace, unnamed, names = "", False, []
    for line in lines:
        if line.startswith("namespace {"):
            unnamed = True
        elif line.rstrip() == "}  // namespace":
            unnamed = False
        elif found := NAMESPACE.match(line):
            namespace = found.group(1)
        elif (found := TYPE.match(line)) and not unnamed:
            names.append(f"{namespace}::{found.group(1)}")
    return names


def twice(files):
    """{name: places} of what more than one file defines."""
    places = collections.defaultdict(set)
    for path, text in files.items():
        for name in types_of(text.splitlines()):
            places[name].add(path)
    return {name: sorted(where) for name, where in places.items() if len(where) > 1}


class TypeNames(unittest.TestCase):
    def test_of_the_framework(self):
        root = arguments.framework
        paths = [path for path in root.rglob("*") if path.suffix in (".h", ".cpp")]
        self.assertGreater(len(paths), 100)
        self.assertEqual(twice({str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in paths}), {})

    def test_two_of_one_name_are_found(self):
        one = "namespace holdfast {\nstruct Span {\n};\n}  // namespace holdfast\n"
        other = "namespace holdfast {\nclass Span final : public Some {\n};\n}  // namespace holdfast\n"
        self.assertEqual(twice({"a.h": one, "b.cpp": other}), {"holdfast::Span": ["a.h", "b.cpp"]})

    def test_names_that_nobody_else_sees_may_be_alike(self):
        hidden = "namespace holdfast {\nnamespace {\nstruct Span {\n};\n}  // namespace\n}  // namespace holdfast\n"
        nested = "namespace holdfast {\nstruct Other {\n  struct Span {\n  };\n};\n}  // namespace holdfast\n"
        inner = "namespace holdfast::cli {\nstruct Span {\n};\n}  // namespace holdfast::cli\n"
        declared = "namespace holdfast {\nstruct Span;\n}  // namespace holdfast\n"
        shown = "namespace holdfast {\nstruct Span {\n};\n}  // namespace holdfast\n"
        self.assertEqual(twice({"a.cpp": hidden, "b.h": nested, "c.h": inner, "d.h": declared, "e.h": shown}), {})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True, type=pathlib.Path)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
