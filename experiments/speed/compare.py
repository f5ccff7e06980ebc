"""`resonant bench` and its peers in turns; the ratios of their medians go into README.md.

    compare.py --resonant FILE --python FILE [--rounds N] [--seconds S] [--json FILE]
               [--readme FILE] [GROUP...]

One idea: machines are shared and change their speed from minute to minute, so for each group the
peer's process (peers.py) is prepared once and then both sides are timed alternately, and a figure
is the median over the rounds of a side's medians. A side's best variant counts: fp32 or bf16, eager
or compiled. Not here: the workloads (peers.py, and train/bench_*.c on our side).
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
GROUPS = ["train", "seanet", "lstm", "gan", "codec", "decode", "features"]
FLAGS = ["avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"]
START, END = "<!-- measured: written by compare.py -->", "<!-- end of measured -->"
VARIANTS = [("eager", "fp32"), ("eager", "bf16"), ("compiled", "fp32"), ("compiled", "bf16")]


class Failure(Exception):
    pass


class Peer:
    """A running peers.py: prepared when this returns, silent until asked for a round."""

    def __init__(self, python, group, threads, log):
        environment = dict(os.environ, THREADS=str(threads))
        self.group, self.log = group, log.name
        self.process = subprocess.Popen([python, os.path.join(HERE, "peers.py"), group], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                        env=environment)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure("the peer of '%s' ended; its log is %s" % (self.group, self.log))
        return json.loads(line)

    def rows(self, seconds):
        self.process.stdin.write("%g\n" % seconds)
        self.process.stdin.flush()
        return self.answer()["rows"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(resonant, group):
    """Our side's object, or None where `resonant bench` has no such group."""
    done = subprocess.run([resonant, "bench", group, "--json"], capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if "no group" in done.stderr:
        return None
    raise Failure("resonant bench %s: %s" % (group, done.stderr.strip().splitlines()[-1]))


def measure(args, group, log):
    """{peer: {rows}, ours: {rows}} of one group, a list entry for each round."""
    print("%s: preparing the peer" % group, file=sys.stderr, flush=True)
    peer = Peer(args.python, group, args.threads, log)
    measured = dict(group=group, about=peer.about, peer=[], ours=[])
    try:
        for n in range(args.rounds):
            print("%s: round %d of %d" % (group, n + 1, args.rounds), file=sys.stderr, flush=True)
            measured["peer"].append(peer.rows(args.seconds))
            mine = ours(args.resonant, group)
            if mine:
                measured["ours"].append(mine)
    finally:
        peer.close()
    return measured


# ---- from rounds to a table ----


def medians(rounds, key_of):
    """{key: the row of each round} -> {key: median over rounds of median_ms}."""
    times = {}
    for rows in rounds:
        for r in rows:
            times.setdefault(key_of(r), []).append(r["median_ms"])
    return {k: statistics.median(v) for k, v in times.items()}


def unit_of(row):
    """(unit, what it is per millisecond): ms, or a rate in which more is better."""
    if "x_real_time" in row:
        return "x real time", row["x_real_time"] * row["median_ms"]
    if "per_s" in row:
        return "steps/s", row["per_s"] * row["median_ms"]
    return "ms", None


def show(ms, scale):
    if ms is None:
        return ""
    value = ms if scale is None else scale / ms
    return "%.0f" % value if value >= 100 else "%.1f" % value


def compare(measured):
    """[{name, unit, peer: {variant: ms}, ours: {precision: ms}, ratio}] of one group."""
    theirs = medians(measured["peer"], lambda r: (r["name"], r["mode"], r["precision"]))
    mine = medians([o["rows"] for o in measured["ours"]], lambda r: (r["name"], r["precision"]))
    lines = []
    for name in dict.fromkeys(r["name"] for rows in measured["peer"] for r in rows):
        unit, scale = unit_of(next(r for rows in measured["peer"] for r in rows if r["name"] == name))
        a = {(m, p): ms for (n, m, p), ms in theirs.items() if n == name}
        b = {p: ms for (n, p), ms in mine.items() if n == name}
        like = [b[p] for p in ("fp32", "bf16") if p in b]  # int8 has no like among the peers
        lines.append(dict(name=name, unit=unit, scale=scale, peer=a, ours=b,
                          ratio=min(a.values()) / min(like) if like else None))
    return lines


def table(lines):
    yield ("| workload | unit | peer: eager fp32 | eager bf16 | compiled fp32 | compiled bf16 "
           "| ours: fp32 | bf16 | int8 weights | ratio |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for l in lines:
        cells = [l["name"], l["unit"]]
        cells += [show(l["peer"].get(v), l["scale"]) for v in VARIANTS]
        cells += [show(l["ours"].get(p), l["scale"]) for p in ("fp32", "bf16", "int8")]
        cells.append("**%.2f**" % l["ratio"] if l["ratio"] else "not yet")
        yield "| " + " | ".join(cells) + " |"


def cpu():
    with open("/proc/cpuinfo") as f:
        text = f.read()
    model = re.search(r"^model name\s*: (.*)$", text, re.M)
    flags = set(re.search(r"^flags\s*: (.*)$", text, re.M).group(1).split())
    return (model.group(1) if model else platform.machine()), [f for f in FLAGS if f in flags]


def peaks(all_measured):
    """Medians of the peaks that our side measured around its rows: (fp32, bf16) GF/s, and its ISA."""
    runs = [o for m in all_measured for o in m["ours"]]
    if not runs:
        return None
    of = lambda p: statistics.median(o["peak_gflops"][p] for o in runs)
    return of("fp32"), of("bf16"), runs[0]["isa"]


def report(args, all_measured):
    model, flags = cpu()
    versions, capability = {}, ""
    for m in all_measured:
        versions.update(m["about"]["versions"])
        capability = m["about"]["capability"]
    peak = peaks(all_measured)
    yield "%s, %d threads on %d CPUs; %s." % (model, args.threads, os.cpu_count(), ", ".join(flags))
    if peak:
        yield ("Measured peak of products in the same run: %.0f GF/s fp32, %.0f GF/s bf16; ours ran "
               "as `%s`, PyTorch as `%s`." % (peak[0], peak[1], peak[2], capability))
    yield ("Peers: %s; Python %s. %d rounds of %g s a variant." %
           (", ".join("%s %s" % v for v in sorted(versions.items())), args.python_version,
            args.rounds, args.seconds))
    yield ""
    yield from table([l for m in all_measured for l in compare(m)])
    refused = [r for m in all_measured for r in m["about"]["refused"] if r["mode"] == "compiled"
               and r["name"] != "features"]
    if refused:
        yield ""
        yield "Not compiled: " + "; ".join("%s %s (%s)" % (r["name"], r["precision"],
                                                            r["reason"].replace("|", "/"))
                                           for r in refused) + "."


def write_readme(path, lines):
    with open(path) as f:
        text = f.read()
    if text.count(START) != 1 or text.count(END) != 1:
        raise Failure("%s lacks the lines between which the table goes" % path)
    before, rest = text.split(START)
    text = before + START + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1]
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--resonant", required=True)
    p.add_argument("--python", required=True, help="of the environment that holds the peers")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1.5, help="a variant and round")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--json", required=True, help="gets every row of every round")
    p.add_argument("--readme", help="whose table is replaced")
    p.add_argument("groups", nargs="*")
    args = p.parse_args()
    unknown = [g for g in args.groups if g not in GROUPS]
    if unknown:
        raise Failure("no group '%s'; there are %s" % (unknown[0], " ".join(GROUPS)))
    args.groups = args.groups or GROUPS
    args.python_version = subprocess.run([args.python, "-c", "import platform; print(platform."
                                          "python_version())"], capture_output=True, text=True,
                                         check=True).stdout.strip()
    return args


def main():
    args = arguments()
    with open(args.json + ".log", "w") as log:
        all_measured = [measure(args, group, log) for group in args.groups]
    with open(args.json, "w") as f:
        json.dump(dict(cpu=cpu(), threads=args.threads, measured=all_measured), f, indent=1)
    lines = list(report(args, all_measured))
    print("\n".join(lines))
    if args.readme:
        write_readme(args.readme, lines)


if __name__ == "__main__":
    try:
        main()
    except Failure as why:
        sys.exit("speed: %s" % why)
