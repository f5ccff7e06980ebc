"""What the short quickstart must have made: files, finite numbers, learning, an exact lock.

    python3 tests/cli/quickstart_check.py [FOLDER]      default: out/quickstart-short

Exit status 1 and one line per fault. Only that it works is asked here, not how well: few steps.
"""
import glob
import json
import math
import os
import sys
import wave

folder = sys.argv[1] if len(sys.argv) > 1 else "out/quickstart-short"
passed = failed = 0


def check(good, what):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAIL:", what)


def value(table, row, column):
    cell = tables[table]["rows"].get(row, {}).get(column, {})
    v = cell.get("value") if isinstance(cell, dict) else None
    return v if isinstance(v, (int, float)) else math.nan


def samples(path):
    with wave.open(path) as w:
        return w.getparams()[:4], w.readframes(w.getnframes())


for name in ("report/index.html", "report/RESULTS.md", "report/metrics.csv", "report/per_item.csv",
             "scene-1/mix.wav", "scene-2/mix.wav", "scene-1/scene.json", "bundle/bundle.json",
             "bundle/README.md"):
    check(os.path.getsize(os.path.join(folder, name)) > 0 if os.path.exists(os.path.join(folder, name)) else False,
          name + " is missing or empty")

metrics = json.load(open(os.path.join(folder, "report/metrics.json")))
tables = metrics["tables"]
roles = [r["name"] for r in json.load(open(os.path.join(folder, "bundle/bundle.json")))["roles"]]
check(len(roles) == 4, "the bundle has four roles")
# One role of a song unlike the few that were trained on may cost more than an even guess.
mean = {column: sum(value("bits", role, column) for role in roles) / 4 for column in ("true", "bigram", "even")}
check(mean["true"] < mean["even"], "%(true)s bits per token over the roles, an even guess has %(even)s" % mean)
check(mean["bigram"] < mean["even"], "the bigram has %(bigram)s bits, an even guess %(even)s" % mean)

for log in glob.glob(os.path.join(folder, "runs/*/metrics.jsonl")):
    lines = [json.loads(line) for line in open(log)]
    train = [line["metrics"]["loss"] for line in lines if line["kind"] == "train"]
    valid = [line for line in lines if line["kind"] == "valid"]
    name = os.path.basename(os.path.dirname(log))
    check(train and all(isinstance(x, (int, float)) and math.isfinite(x) for x in train), name + ": losses are finite")
    check(train and train[-1] < train[0], name + ": the loss falls")
    check(valid and valid[-1].get("items"), name + ": validation has values per song")
    for part in ("config.yaml", "cmd.txt", "env.json", "describe.json", "train.log", "metrics.csv"):
        check(os.path.exists(os.path.join(os.path.dirname(log), part)), name + ": " + part)

locked, original = samples(os.path.join(folder, "scene-2/drums.wav")), samples(os.path.join(folder, "scene-1/drums.wav"))
check(locked == original, "the locked drums are the same samples")
other, before = samples(os.path.join(folder, "scene-2/bass.wav")), samples(os.path.join(folder, "scene-1/bass.wav"))
check(other[1] != before[1], "the bass was made anew")
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
