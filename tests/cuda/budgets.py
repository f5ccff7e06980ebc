"""What nvcc makes of the CUDA kernels, against a table: registers, warps, shared memory, spills.

    python3 tests/cuda/budgets.py            compares with tests/cuda/budgets.tsv
    python3 tests/cuda/budgets.py --update   writes the table anew

One idea: a row is a kernel with the worst figures of its instances: threads and static shared bytes
of a block, then per architecture registers of a thread and warps that a multiprocessor holds at
once ("40:48"). More registers or shared memory than the row says, fewer warps, fewer than 8 of them
on sm_86, a spill, a warning, a kernel without a row or a row without a kernel is a failure. No GPU
and no driver is needed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests/cuda/budgets.tsv"
SOURCES = sorted((ROOT / "kernels/cuda").glob("*.cu"))

# As the product is built: two sets of PTX, bf16 products from compute capability 8.0 on.
TARGETS = {75: [75], 80: [80, 86, 89, 90, 100, 120]}
ARCHITECTURES = [sm for code in TARGETS.values() for sm in code]

# A multiprocessor: threads, blocks, bytes of shared memory (CUDA C++ Programming Guide, "Compute
# Capabilities"). All have 64 Ki registers in four parts.
LIMITS = {75: (1024, 16, 65536), 80: (2048, 32, 167936), 86: (1536, 16, 102400),
          89: (1536, 24, 102400), 90: (2048, 32, 233472), 100: (2048, 32, 233472),
          120: (1536, 24, 102400)}
LEAST_WARPS = {86: 8}


def warps(sm, threads, registers, shared):
    """How many a multiprocessor holds: registers go to warps in 256s, shared memory to blocks in
    128s with 1 KiB for the system (256s and none before 8.0)."""
    most_threads, most_blocks, most_shared = LIMITS[sm]
    per_block = (threads + 31) // 32
    by_registers = 4 * (16384 // (-(-registers * 32 // 256) * 256)) // per_block
    grain, system = (128, 1024) if sm >= 80 else (256, 0)
    by_shared = most_shared // max(1, -(-(shared + system) // grain) * grain)
    blocks = min(most_threads // (32 * per_block), most_blocks, by_registers, by_shared)
    return blocks * per_block


def compile_verbosely(source):
    """(ptxas's report of one file for all architectures, {symbol: threads of a block}); None when
    nvcc refuses it."""
    targets = []
    for virtual, code in TARGETS.items():
        real = ",".join(f"sm_{sm}" for sm in code)
        targets += ["-gencode", f"arch=compute_{virtual},code=[{real}]"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["nvcc", "-std=c++17", "-O3", "-Werror", "all-warnings", "-Xptxas", "-v", "-fatbin",
             "-I", ROOT, "-I", ROOT / "src", *targets, "--keep", "--keep-dir", folder,
             "-o", Path(folder) / "out.fatbin", source],
            capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{source.name}: nvcc ends with {done.returncode}\n{done.stdout}{done.stderr}")
            return None
        ptx = "".join(path.read_text() for path in sorted(Path(folder).glob("*.ptx")))
    blocks = re.findall(r"\.entry (\w+)\([^{]*?\.maxntid (\d+), (\d+), (\d+)", ptx)
    threads = {symbol: int(x) * int(y) * int(z) for symbol, x, y, z in blocks}
    return done.stdout + done.stderr, threads


@lru_cache(None)
def kernel_name(symbol):
    """The bare name in a mangled one: c++filt, without namespaces, arguments and templates."""
    name = subprocess.run(["c++filt", symbol], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\w+_kernel)\b", name)
    return found.group(1) if found else name.strip()


def figures(report, threads):
    """Yields (kernel, sm, threads, registers, shared bytes, spilled bytes) of every instance."""
    entry = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
    symbol, sm, spilled = None, 0, 0
    for line in report.splitlines():
        if found := entry.search(line):
            symbol, sm, spilled = found.group(1), int(found.group(2)), 0
        if found := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = int(found.group(1)) + int(found.group(2))
        if found := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            yield (kernel_name(symbol), sm, threads[symbol], int(found.group(1)),
                   int(shared.group(1)) if shared else 0, spilled)


def measure():
    """{(file, kernel): (threads, shared, {sm: (registers, warps)})} and whether all is well."""
    table, good = {}, True
    with ThreadPoolExecutor((os.cpu_count() or 1) + 2) as pool:
        reports = list(pool.map(compile_verbosely, SOURCES))
    for source, report in zip(SOURCES, reports):
        good = good and report is not None
        for kernel, sm, threads, registers, shared, spilled in figures(*(report or ("", {}))):
            here, wanted = warps(sm, threads, registers, shared), LEAST_WARPS.get(sm, 1)
            if spilled:
                print(f"{source.name} {kernel} sm_{sm}: {spilled} bytes are spilled")
            if here < wanted:
                print(f"{source.name} {kernel} sm_{sm}: {here} warps, {wanted} wanted")
            good = good and not spilled and here >= wanted
            most_threads, most_shared, columns = table.get((source.name, kernel), (0, 0, {}))
            most, least = columns.get(sm, (0, here))
            columns[sm] = max(registers, most), min(here, least)
            table[source.name, kernel] = (max(threads, most_threads), max(shared, most_shared),
                                          columns)
    return table, good


def read_table():
    rows = {}
    for line in TABLE.read_text().splitlines()[1:]:
        file, kernel, threads, shared, *cells = line.split("\t")
        columns = {sm: tuple(map(int, cell.split(":"))) for sm, cell in zip(ARCHITECTURES, cells)}
        rows[file, kernel] = int(threads), int(shared), columns
    return rows


def write_table(table):
    names = ["file", "kernel", "threads", "shared", *(f"sm_{sm}" for sm in ARCHITECTURES)]
    lines = ["\t".join(names)]
    for (file, kernel), (threads, shared, columns) in sorted(table.items()):
        cells = [f"{columns[sm][0]}:{columns[sm][1]}" for sm in ARCHITECTURES]
        lines.append("\t".join([file, kernel, str(threads), str(shared), *cells]))
    TABLE.write_text("\n".join(lines) + "\n")


def excesses(budget, seen):
    """What of `seen` is beyond its row."""
    if seen[0] != budget[0]:
        yield f"{seen[0]} threads, the table says {budget[0]}"
    if seen[1] > budget[1]:
        yield f"{seen[1]} bytes of shared memory, {budget[1]} allowed"
    for sm, (registers, here) in seen[2].items():
        if registers > budget[2][sm][0]:
            yield f"{registers} registers on sm_{sm}, {budget[2][sm][0]} allowed"
        if here < budget[2][sm][1]:
            yield f"{here} warps on sm_{sm}, {budget[2][sm][1]} wanted"


def compare(budgets, table):
    good = True
    for row in sorted(budgets.keys() | table.keys()):
        if row not in budgets or row not in table:
            print(*row, "has no row" if row in table else "is in the table only")
            good = False
            continue
        for what in excesses(budgets[row], table[row]):
            print(*row, what)
            good = False
    return good


def main():
    if not shutil.which("nvcc"):
        print("SKIP cuda/budgets: nvcc is not installed")
        return 0
    table, good = measure()
    if sys.argv[1:] == ["--update"]:
        if good:
            write_table(table)
        return 0 if good else 1
    good = compare(read_table(), table) and good
    print(f"{len(table)} kernels, {len(ARCHITECTURES)} architectures")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
