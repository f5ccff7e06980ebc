"""What nvcc makes of the CUDA kernels, against a table: registers, shared memory, spills.

    python3 tests/cuda/budgets.py               compares with tests/cuda/budgets.tsv
    python3 tests/cuda/budgets.py --update 75 86  writes the table anew, for these architectures

One idea: a row is a kernel with the largest figures of its instances; its columns are the
architectures. More registers or shared memory than the row says, a spill, a warning, a kernel
without a row or a row without a kernel is a failure. No GPU and no driver is needed.
"""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests/cuda/budgets.tsv"
SOURCES = sorted((ROOT / "kernels/cuda").glob("*.cu"))


def compile_verbosely(source, architectures):
    """ptxas's report of one file for all architectures; None when nvcc refuses it."""
    targets = [f"-gencode=arch=compute_{sm},code=sm_{sm}" for sm in architectures]
    done = subprocess.run(
        ["nvcc", "-std=c++17", "-O3", "-Werror", "all-warnings", "-Xptxas", "-v", "-fatbin",
         "-I", ROOT, "-I", ROOT / "src", *targets, "-o", "/dev/null", source],
        capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{source.name}: nvcc ends with {done.returncode}\n{done.stdout}{done.stderr}")
        return None
    return done.stdout + done.stderr


def kernel_name(symbol):
    """The bare name in a mangled one: c++filt, without namespaces, arguments and templates."""
    name = subprocess.run(["c++filt", symbol], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\w+_kernel)\b", name)
    return found.group(1) if found else name.strip()


def figures(report):
    """Yields (kernel, sm, registers, shared bytes, spilled bytes) of every instance."""
    entry = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
    kernel, sm, spilled = None, 0, 0
    for line in report.splitlines():
        if found := entry.search(line):
            kernel, sm, spilled = kernel_name(found.group(1)), int(found.group(2)), 0
        if found := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = int(found.group(1)) + int(found.group(2))
        if found := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            yield kernel, sm, int(found.group(1)), int(shared.group(1)) if shared else 0, spilled


def measure(architectures):
    """{(file, kernel): (shared, {sm: registers})} and whether all is well."""
    table, good = {}, True
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda s: compile_verbosely(s, architectures), SOURCES))
    for source, report in zip(SOURCES, reports):
        good = good and report is not None
        for kernel, sm, registers, shared, spilled in figures(report or ""):
            if spilled:
                print(f"{source.name} {kernel} sm_{sm}: {spilled} bytes are spilled")
                good = False
            most, columns = table.get((source.name, kernel), (0, {}))
            columns[sm] = max(registers, columns.get(sm, 0))
            table[source.name, kernel] = max(most, shared), columns
    return table, good


def read_table():
    lines = [line.split("\t") for line in TABLE.read_text().splitlines()]
    architectures = [int(column.removeprefix("sm_")) for column in lines[0][3:]]
    rows = {(f, k): (int(shared), dict(zip(architectures, map(int, registers))))
            for f, k, shared, *registers in lines[1:]}
    return architectures, rows


def write_table(architectures, table):
    lines = ["\t".join(["file", "kernel", "shared", *(f"sm_{sm}" for sm in architectures)])]
    for (file, kernel), (shared, columns) in sorted(table.items()):
        lines.append("\t".join([file, kernel, str(shared),
                                *(str(columns[sm]) for sm in architectures)]))
    TABLE.write_text("\n".join(lines) + "\n")


def compare(budgets, table):
    good = True
    for row in sorted(budgets.keys() | table.keys()):
        if row not in budgets or row not in table:
            print(*row, "has no row" if row in table else "is in the table only")
            good = False
            continue
        (shared_budget, registers_budget), (shared, registers) = budgets[row], table[row]
        over = [f"{shared} bytes of shared memory, {shared_budget} allowed"] * (
            shared > shared_budget)
        over += [f"{registers[sm]} registers on sm_{sm}, {budget} allowed"
                 for sm, budget in registers_budget.items() if registers[sm] > budget]
        for what in over:
            print(*row, what)
        good = good and not over
    return good


def main():
    if not shutil.which("nvcc"):
        print("SKIP cuda/budgets: nvcc is not installed")
        return 0
    if sys.argv[1:2] == ["--update"]:
        architectures = [int(sm) for sm in sys.argv[2:]]
        table, good = measure(architectures)
        if good:
            write_table(architectures, table)
        return 0 if good else 1
    architectures, budgets = read_table()
    table, good = measure(architectures)
    good = compare(budgets, table) and good
    print(f"{len(table)} kernels, {len(architectures)} architectures")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
