#!/usr/bin/env bash
# How much faster two processes of one core each are than one process of one core.
#
#   bash experiments/cluster/efficiency.sh CONFIG [key=value...]
#
# Prints what each took per update, and E = one core's seconds / (2 x two cores' seconds). The
# updates of two steps are counted, the first is left out. accumulate must be even; 4 by default.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
config=$1
shift
common=(accumulate=4 "$@" name=efficiency "runs=$out" steps=3 log_every=1 validate_every=1000000
    checkpoint_every=1000000 keep_checkpoints=1)

per_update() { # of the run's last two steps
    python3 - "$out" <<'P'
import glob, json, sys
path = glob.glob(sys.argv[1] + "/efficiency-*/metrics.jsonl")[0]
steps = [json.loads(line) for line in open(path)]
seconds = [r["metrics"]["seconds_per_step"] for r in steps if r["kind"] == "train"]
print(sum(seconds[1:]) / len(seconds[1:]))
P
    rm -rf "$out"/efficiency-*
}

measure() {
    "$@" >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
    grep "step 3/3" "$out/log" >&2 || true
    per_update
}

one=$(measure taskset -c 0 "$root/build/resonant" train "$config" "${common[@]}" threads=1)
two=$(measure "$root/build/resonant" train "$config" "${common[@]}" threads=1 --processes 2)
python3 -c "print(f'one core {$one:.2f} s an update, two processes of one core {$two:.2f} s: efficiency {100 * $one / (2 * $two):.0f} %')"
