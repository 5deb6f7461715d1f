#!/usr/bin/env python3
"""What commands cost, side by side.

    measure.py run RESULT.json LABEL RUNS CLEAN -- COMMAND ...   runs COMMAND RUNS times, each after the shell text CLEAN, and keeps the
                                                                 medians: CPU and wall seconds, and the highest peak of memory
    measure.py compare RESULT.json OURS THEIRS                   prints both and the ratios
    measure.py show RESULT.json                                  prints all that was measured

Standard library only. CPU is user and system time of the command and all it waited for; memory is the largest resident set of
any one process."""
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def once(command, log):
    with open(log, "w") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        print(Path(log).read_text()[-4000:], file=sys.stderr)
        sys.exit(f"{' '.join(command)} ended with {code}")
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall, "peak_mb": usage.ru_maxrss / 1024}


def run(result, label, runs, clean, command):
    log = f"{result}.{label}.log"
    taken = []
    for _ in range(int(runs)):
        subprocess.run(clean, shell=True, check=True)
        taken.append(once(command, log))
    known = json.loads(Path(result).read_text()) if Path(result).exists() else {}
    known[label] = {key: statistics.median(one[key] for one in taken) for key in ("cpu_s", "wall_s")}
    known[label]["peak_mb"] = max(one["peak_mb"] for one in taken)
    Path(result).write_text(json.dumps(known, indent=2) + "\n")


def show(known, labels):
    print(f"{'':24}{'CPU s':>10}{'wall s':>10}{'peak MB':>10}")
    for label in labels:
        one = known[label]
        print(f"{label:24}{one['cpu_s']:10.2f}{one['wall_s']:10.2f}{one['peak_mb']:10.0f}")


def compare(result, ours, theirs):
    known = json.loads(Path(result).read_text())
    show(known, (ours, theirs))
    ratios = [known[ours][key] / known[theirs][key] for key in ("cpu_s", "wall_s", "peak_mb")]
    print(f"{'ratio':24}{ratios[0]:10.2f}{ratios[1]:10.2f}{ratios[2]:10.2f}")


def main():
    match sys.argv[1:]:
        case ["run", result, label, runs, clean, "--", *command] if command:
            run(result, label, runs, clean, command)
        case ["compare", result, ours, theirs]:
            compare(result, ours, theirs)
        case ["show", result]:
            known = json.loads(Path(result).read_text())
            show(known, known)
        case _:
            sys.exit(__doc__)


main()
