"""What the SDK's library exports is what holdfast/*.h declares, and nothing of the floors below or of third parties; and the program
defines no function of the same name itself, which would stand in for the library's everywhere.

Usage: sdk_symbols_test.py LIBRARY HEADERS PROGRAM
"""

import pathlib
import re
import subprocess
import sys

library, headers, program = sys.argv[1:]
text = "\n".join(path.read_text(encoding="utf-8") for path in pathlib.Path(headers).glob("*.h"))
declared = set(re.findall(r"\b(?:class|struct) (\w+)", text)) | set(re.findall(r"^(?:\[\[noreturn\]\] )?[\w:<>]+[&*]? (\w+)\(", text, re.M))


def symbols(*arguments):
    """(kind, name) of what a file defines."""
    lines = subprocess.run(["nm", "--defined-only", "--demangle", *arguments], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split(" ", 2)[1:]) for line in lines.splitlines()]


names = [name for _, name in symbols("--dynamic", library)]
exported = set()
surplus = []
for name in names:
    found = re.match(r"(?:(?:typeinfo|typeinfo name|vtable) for )?holdfast::(\w+)", name)
    if found and found.group(1) in declared:
        exported.add(found.group(1))
    else:
        surplus.append(name)
needed = {"Error", "Params", "Random", "Model", "Taps", "Listeners", "Trainer", "Stream", "Archive", "Context", "defender_rows",
          "refusal_pairs", "pooled", "row_states", "LayerChoice", "ranked", "TopRows", "give_system", "drop_system",
          "existing_system", "Attack", "RepairStage", "HarmProbe", "Divergence", "SafetyRows", "Moderator", "DatasetFile",
          "Judge", "JudgeContext", "ReviewJudge", "read_ask_options", "words_of", "tagged_number", "last_content",
          "GuardQuestion", "Asker", "read_endpoint_options", "read_json", "json_text", "set_system", "derive_seed", "log_info",
          "log_warning", "check_failed", "named_linears", "thinned", "RepairTraining"}
print(f"{len(names)} symbols of {len(exported)} declared names")
if surplus:
    sys.exit("exported, and declared by no header of the SDK: " + "; ".join(surplus[:20]))
if not needed <= exported:
    sys.exit("declared, and not exported: " + ", ".join(sorted(needed - exported)))
twice = {name for kind, name in symbols("--dynamic", library) if kind == "T"} & {name for kind, name in symbols(program) if kind in "Tt"}
if twice:
    sys.exit("defined by the library and once more by the program: " + "; ".join(sorted(twice)))
