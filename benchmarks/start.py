"""Measure how long the command takes to start, beside the frameworks that could parse its arguments.

Runs as ``python -m benchmarks.start``. All programs run in turn, so that they share the machine's changes; a framework
that is not installed is left out. The times are those of the processor, user and system, and of the clock.
"""

import importlib.util
import os
import subprocess
import sys
import time
from statistics import median

ROUNDS = 15
FRAMEWORKS = ("argparse", "cyclopts", "typer", "rich_click")


def programs() -> dict[str, list[str]]:
    """Return the programs to measure, by name."""
    command = [sys.executable, "-m", "industrydb"]
    found = {name: [sys.executable, "-c", f"import {name}"] for name in FRAMEWORKS if importlib.util.find_spec(name)}
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "industrydb --version": [*command, "--version"],
        "industrydb read --help": [*command, "read", "--help"],
        **{f"import {name}": program for name, program in found.items()},
    }


def run(program: list[str]) -> tuple[float, float]:
    """Run a program; return the seconds of the processor and of the clock."""
    began = time.perf_counter()
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        msg = f"{program} failed"
        raise RuntimeError(msg)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def main() -> None:
    """Run all programs in turn, and print the medians."""
    found = programs()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for _ in range(ROUNDS):
        for name, program in found.items():
            taken[name].append(run(program))
    for name, times in taken.items():
        cpu, wall = (1e3 * median(column) for column in zip(*times, strict=True))
        print(f"{name:24} {cpu:6.0f} ms of the processor {wall:6.0f} ms of the clock")


if __name__ == "__main__":
    main()
