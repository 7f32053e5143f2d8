"""No source file of framework/ is longer than 400 lines, unless its first comment says why.

Usage: file_sizes.py --framework framework [unittest arguments]
"""

import argparse
import itertools
import pathlib
import sys
import unittest

MOST = 400
REASON = f"more than {MOST} lines"  # "It has more than 400 lines because ..."

arguments = argparse.Namespace()


def first_comment(lines):
    return " ".join(line.removeprefix("//").strip() for line in itertools.takewhile(lambda line: line.startswith("//"), lines))


def excess(lines):
    """Why a file with these lines is too long, or nothing."""
    if len(lines) <= MOST or REASON in first_comment(lines):
        return ""
    return f'has {len(lines)} lines, expected {MOST} at most: part it by its ideas, or say in its first comment why it has "{REASON}"'


class FileSizes(unittest.TestCase):
    def test_of_the_framework(self):
        root = pathlib.Path(arguments.framework)
        files = sorted(path for path in root.rglob("*") if path.suffix in (".cpp", ".h"))
        self.assertGreater(len(files), 100, root)
        found = [(path, excess(path.read_text(encoding="utf-8").splitlines())) for path in files]
        self.assertEqual("\n".join(f"{path} {why}" for path, why in found if why), "")

    def test_a_long_file_needs_a_reason_at_its_top(self):
        code = ["int x;"] * MOST
        self.assertEqual(excess(code), "")
        self.assertIn("has 401 lines", excess(["// What it is.", *code]))
        self.assertEqual(excess(["// What it is. It has more than", "// 400 lines because tables are read side by side.", *code]), "")
        self.assertIn("has 402 lines", excess(["#pragma once", "// It has more than 400 lines because ...", *code]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
