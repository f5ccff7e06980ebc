#!/usr/bin/env python3
"""Plants faults in the operators and reference kernels and counts which the tests see.

One idea: a mutant is one textual change at one place (file, line, column, rule), chosen by seed,
spread over the files by their number of places. The tree is built once and never changed; each
mutant costs one file's compilation, a relink and the tests up to the first that fails.
Not here: faults outside src/ops and kernels/ref; several faults at once.
"""
import argparse
import collections
import glob
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("src/ops/*.c", "kernels/ref/*.inc", "kernels/ref/optimizer.c")
INCLUDERS = ("kernels/ref/ref_f32.c", "kernels/ref/ref_f64.c")
LEAST_KILLED = 0.95  # of a whole campaign; a sample of ten says too little for that

# name, what to find in code without comments and strings, what to put there
RULES = [
    ("+ to -", r"(?<= )\+(?= )", "-"),
    ("- to +", r"(?<= )-(?= )", "+"),
    ("* to +", r"(?<= )\*(?= )", "+"),
    ("/ to *", r"(?<= )/(?= )", "*"),
    ("% to /", r"(?<= )%(?= )", "/"),
    ("accumulate to assign", r"(?<= )\+=(?= )", "="),
    ("+= to -=", r"(?<= )\+=(?= )", "-="),
    ("-= to +=", r"(?<= )-=(?= )", "+="),
    ("< to <=", r"(?<= )<(?= )", "<="),
    ("> to >=", r"(?<= )>(?= )", ">="),
    ("<= to <", r"(?<= )<=(?= )", "<"),
    (">= to >", r"(?<= )>=(?= )", ">"),
    ("== to !=", r"(?<= )==(?= )", "!="),
    ("!= to ==", r"(?<= )!=(?= )", "=="),
    ("&& to ||", r"&&", "||"),
    ("|| to &&", r"\|\|", "&&"),
    ("not dropped", r"!(?=[\w(])", ""),
    ("true to false", r"\btrue\b", "false"),
    ("false to true", r"\bfalse\b", "true"),
    ("0 to 1", r"(?<![\w.\-])0(?![\w.])", "1"),
    ("1 to 2", r"(?<![\w.\-])1(?![\w.])", "2"),
    ("2 to 3", r"(?<![\w.\-])2(?![\w.])", "3"),
    ("4 to 3", r"(?<![\w.\-])4(?![\w.])", "3"),
    ("0.5 to 0.6", r"(?<![\w.])0\.5(?![\w.])", "0.6"),
    ("sign added", r"(?<=return )(?=[a-z]\w*\()", "-"),
    ("cos to sin", r"\bcos(?=\()", "sin"),
    ("sin to cos", r"\bsin(?=\()", "cos"),
    ("exp to expm1", r"\bexp(?=\()", "expm1"),
    ("expm1 to exp", r"\bexpm1(?=\()", "exp"),
    ("sqrt to fabs", r"\bsqrt(?=\()", "fabs"),
    ("log to log1p", r"\blog(?=\()", "log1p"),
    ("tanh to sin", r"\btanh(?=\()", "sin"),
    ("statement dropped", r"(?m)^ +(?:put\w*|RG_TRY|rope_rotate|mem\w+)\(.*\);$", ";"),
]
SWAPS = [("c_in", "c_out"), ("t_in", "t_out"), ("kernel_h", "kernel_w"), ("stride_h", "stride_w"),
         ("pad_h", "pad_w"), ("pad_left", "pad_right"), ("ld_q", "ld_k"), ("t_q", "t_k"),
         ("h_in", "w_in"), ("h_out", "w_out"), ("beta1", "beta2"), ("q_pos", "k_pos"),
         ("dq", "dk"), ("rows", "channels"), ("heads", "head_dim"), ("outer", "inner")]
for left, right in SWAPS:
    for a, b in ((left, right), (right, left)):
        RULES.append((f"{a} to {b}", rf"(?<=->){a}\b", b))
# Lines that compute nothing: checks of our own mistakes, messages, the operators' test cases and
# their attributes; and the sign of a status, which is as non-zero as before.
SKIP_LINE = re.compile(r"^\s*#|\bassert\(|_Static_assert|RG_CASE_|\.cases|\.n_cases|rg_fail|rg_exec_fail"
                       r"|static const \w+_attr \w+ =")
STATUS_RULES = {"sign added": "src/ops/"}

Mutant = collections.namedtuple("Mutant", "path line column rule before after text")


def without_comments_and_strings(code):
    """The same text with comments, strings and characters blanked, so that offsets stay."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), code, flags=re.S)


def skipped_lines(code):
    """Whole statements that SKIP_LINE names, to their semicolon; and tables of test cases."""
    skipped, inside = set(), None
    for number, line in enumerate(code.split("\n"), 1):
        if inside is None and re.search(r"rg_op_case \w+\[\]", line):
            inside = re.compile(r"^};")
        elif inside is None and SKIP_LINE.search(line):
            inside = re.compile(r";\s*$|^\s*#")
        if inside is not None:
            skipped.add(number)
            if inside.search(line):
                inside = None
    return skipped


def places(path):
    """Every mutant of one file, in order."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = f.read()
    code = without_comments_and_strings(text)
    skipped = skipped_lines(code)
    for rule, pattern, after in RULES:
        if path.startswith(STATUS_RULES.get(rule, "nowhere")):
            continue
        for found in re.finditer(pattern, code):
            line = code.count("\n", 0, found.start()) + 1
            if line in skipped:
                continue
            column = found.start() - (code.rfind("\n", 0, found.start()) + 1)
            yield Mutant(path, line, column, rule, found.group(), after,
                         text.split("\n")[line - 1].strip())


def equivalents():
    """(path, line text, rule) that no test can tell from the original, each with its reason."""
    rows = set()
    with open(os.path.join(HERE, "equivalent.txt"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                path, rule, text, _reason = [part.strip() for part in line.split(" @ ", 3)]
                rows.add((path, rule, text))
    return rows


def choose(seed, only):
    """All mutants in the order of planting: every file in proportion to its places."""
    paths = sorted(p for s in SOURCES for p in glob.glob(s, root_dir=ROOT)
                   if not only or re.search(only, p))
    known, chance, drawn = equivalents(), random.Random(seed), []
    for path in paths:
        found = [m for m in places(path) if (m.path, m.rule, m.text) not in known]
        chance.shuffle(found)
        drawn += [((i + chance.random()) / len(found), m) for i, m in enumerate(found)]
    drawn.sort(key=lambda pair: pair[0])
    return [m for _, m in drawn]


class Tree:
    """A build of the unchanged tree, and the commands that made it. It is never written to: a
    mutant is a file in an overlay folder that comes first in the include path, its objects lie
    there too, and a test program is linked with them in front of the libraries."""

    def __init__(self, build, overlay):
        self.build, self.overlay, self.links = build, overlay, {}
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
            self.compile = {e["file"]: e["command"] for e in json.load(f)}

    def plant(self, m):
        """Writes the mutant and compiles what contains it; the objects, or None."""
        shutil.rmtree(self.overlay, ignore_errors=True)
        path = os.path.join(self.overlay, m.path)
        os.makedirs(os.path.dirname(path))
        with open(os.path.join(ROOT, m.path), encoding="utf-8") as f:
            lines = f.read().split("\n")
        line = lines[m.line - 1]
        lines[m.line - 1] = line[:m.column] + m.after + line[m.column + len(m.before):]
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
        units = [m.path] if m.path.endswith(".c") else INCLUDERS
        objects = [os.path.join(self.overlay, f"{i}.o") for i in range(len(units))]
        running = [subprocess.Popen(self.compile_command(unit, m, out), cwd=self.build,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for unit, out in zip(units, objects)]
        return objects if not [p for p in running if p.wait()] else None

    def compile_command(self, unit, m, out):
        words = shlex.split(self.compile[os.path.join(ROOT, unit)])
        words[words.index("-o") + 1] = out
        if unit == m.path:
            words[words.index("-c") + 1] = os.path.join(self.overlay, unit)
        return [words[0], "-I" + self.overlay, *words[1:],
                "-I" + os.path.join(ROOT, os.path.dirname(unit)), "-w", "-O0"]

    def start(self, run, objects):
        """Links a test program with the objects (none: the unchanged one) and starts it."""
        name, isa = run
        env = dict(os.environ, CK_VERBOSITY="silent")
        env.pop("RG_ISA", None)
        env["CK_FORK"] = "no"  # a forked test has a process group of its own and would outlive us
        if isa:
            env["RG_ISA"] = isa
        program = os.path.join(self.overlay, f"{name}.{isa}") if objects else \
            os.path.join(self.build, name)
        command = f"exec {shlex.quote(program)}"
        if objects and not os.path.exists(program):
            if name not in self.links:
                told = subprocess.run(["ninja", "-C", self.build, "-t", "commands", name],
                                      capture_output=True, text=True, check=True)
                self.links[name] = told.stdout.strip().split("\n")[-1]
            link = self.links[name].replace(f" -o {name} ", f" {' '.join(objects)} -o {program} ")
            command = f"{link} || exit 9; {command}"
        return subprocess.Popen(["sh", "-c", command], env=env, cwd=self.build,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True)


def programs(pattern, levels):
    """(target, RG_ISA or None for this machine's best) of every run of the programs."""
    return [(os.path.basename(path)[:-2], isa)
            for path in sorted(glob.glob(pattern, root_dir=ROOT)) for isa in levels]


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, 9)
    process.wait()


def first_failure(tree, objects, runs, limits, jobs):
    """The first run that fails or takes too long, or None; `jobs` run side by side."""
    waiting, live, failed = list(runs), [], None
    while not failed and (waiting or live):
        while waiting and len(live) < jobs:
            run = waiting.pop(0)
            live.append((run, tree.start(run, objects), time.monotonic()))
        time.sleep(0.005)
        for entry in list(live):
            run, process, began = entry
            late = time.monotonic() - began > limits[run]
            if process.poll() is None and not late:
                continue
            live.remove(entry)
            stop(process)
            if late or process.returncode:
                failed = run
    for _, process, _ in live:
        stop(process)
    return failed


def prepare(build, runs):
    """Builds the unchanged tree."""
    subprocess.run(["cmake", "-G", "Ninja", "-S", ROOT, "-B", build, "-DCMAKE_BUILD_TYPE=Release"],
                   stdout=subprocess.DEVNULL, check=True)
    targets = sorted({name for name, _ in runs})
    if subprocess.run(["ninja", "-C", build, *targets], stdout=subprocess.DEVNULL,
                      check=False).returncode:
        sys.exit("mutation: the unchanged tree does not build")


def time_runs(tree, runs):
    """How long each run takes when nothing is wrong."""
    times = {}
    for run in runs:
        began = time.monotonic()
        if tree.start(run, None).wait():
            sys.exit(f"mutation: {run[0]} fails on the unchanged tree (RG_ISA={run[1]})")
        times[run] = time.monotonic() - began
    return times


def report(results, seconds, least):
    by_file = collections.defaultdict(lambda: [0, 0])
    for m, killer in results:
        by_file[m.path][0] += killer is not None
        by_file[m.path][1] += 1
    for path, (killed, total) in sorted(by_file.items()):
        print(f"{killed:4d} of {total:3d} killed  {path}")
    for m, killer in results:
        if killer is None:
            print(f"survived  {m.path}:{m.line}:{m.column + 1}  {m.rule}  |  {m.text}")
    killed = sum(killer is not None for _, killer in results)
    share = killed / len(results) if results else 0
    print(f"mutation: {killed} of {len(results)} killed ({100 * share:.1f} %), "
          f"{seconds / max(1, len(results)):.1f} s each, at least {100 * least:.0f} % needed")
    return 0 if share >= least else 1


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--sample", type=int, default=240, help="mutants to plant")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", help="files whose path matches this expression")
    options.add_argument("--list", action="store_true", help="name the mutants and stop")
    options.add_argument("--build", help="a build folder of this tree to use, instead of a new one")
    options.add_argument("--seconds", type=float, default=3600, help="stop planting after that")
    options.add_argument("--least", type=float, default=LEAST_KILLED, help="share to be killed")
    options.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    o = options.parse_args()
    mutants = choose(o.seed, o.only)
    kernels = programs("tests/kernels/test_*.c", (None,))  # they choose their levels themselves
    operators = programs("tests/ops/test_*.c", ("ref", None))
    if o.list:
        for m in mutants[:o.sample]:
            print(f"{m.path}:{m.line}:{m.column + 1}  {m.rule}  |  {m.text}")
        return 0
    scratch, results = tempfile.mkdtemp(prefix="rg-mutation-"), []
    try:
        build = o.build or os.path.join(scratch, "build")
        prepare(build, kernels + operators)
        tree = Tree(os.path.abspath(build), os.path.join(scratch, "overlay"))
        times = time_runs(tree, kernels + operators)
        limits = {run: 20 + 20 * t for run, t in times.items()}
        began = time.monotonic()
        for m in mutants:
            if len(results) == o.sample or time.monotonic() - began > o.seconds:
                break
            objects = tree.plant(m)
            if not objects:  # a mutant that does not compile is none
                continue
            # The kernel tests do not see the operators.
            runs = sorted(kernels, key=times.get) if m.path.startswith("kernels/") else []
            killer = first_failure(tree, objects, runs + sorted(operators, key=times.get), limits,
                                   o.jobs)
            results.append((m, killer))
            verdict = f"killed by {killer[0]}" if killer else "SURVIVED"
            print(f"{len(results):4d}  {verdict:32s}  {m.path}:{m.line}:{m.column + 1}  {m.rule}",
                  flush=True)
        return report(results, time.monotonic() - began, o.least)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
