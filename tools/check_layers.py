#!/usr/bin/env python3
"""Checks that the modules keep their layers: reads the slipway_module() calls of src/slipway/CMakeLists.txt and every
include. Fails on an include of a module that is not listed, a dependency that is not declared above, and a listed
module that nothing includes."""
import pathlib
import re
import sys


def read_modules(cmake_text):
    """[(name, [deps])] in order; raises ValueError for a dependency that is not declared earlier."""
    modules = []
    for call in re.finditer(r"^slipway_module\(([^)]*)\)", cmake_text, re.MULTILINE):
        words = call.group(1).split()
        deps, into = [], False
        for word in words[1:]:
            if word in ("DEPS", "LIBS"):
                into = word == "DEPS"
            elif into:
                deps.append(word)
        known = [name for name, _ in modules]
        for dep in deps:
            if dep not in known:
                raise ValueError(f"module '{words[0]}' lists '{dep}', which is not declared above it")
        modules.append((words[0], deps))
    return modules


def check(root):
    """The list of offences below src/slipway."""
    source = pathlib.Path(root) / "src" / "slipway"
    try:
        modules = read_modules((source / "CMakeLists.txt").read_text())
    except ValueError as error:
        return [str(error)]
    offences = []
    for name, deps in modules:
        used = set()
        for path in sorted((source / name).glob("*.[ch]*")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'\s*#\s*include\s*"slipway/([a-z_]+)/', line)
                if not match or match.group(1) == name:
                    continue
                used.add(match.group(1))
                if match.group(1) not in deps:
                    offences.append(f"{path.relative_to(root)}:{number}: module '{name}' includes '{match.group(1)}', which it does not list")
        for dep in deps:
            if dep not in used:
                offences.append(f"src/slipway/CMakeLists.txt: module '{name}' lists '{dep}' and includes nothing of it")
    folders = {path.name for path in source.iterdir() if path.is_dir()}
    for missing in sorted(folders - {name for name, _ in modules}):
        offences.append(f"src/slipway/{missing}: a folder that no slipway_module() call names")
    return offences


if __name__ == "__main__":
    found = check(pathlib.Path(__file__).resolve().parent.parent)
    print("\n".join(found) if found else "layers: ok", file=sys.stderr if found else sys.stdout)
    sys.exit(1 if found else 0)
