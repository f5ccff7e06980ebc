#!/usr/bin/env bash
# Four codecs, one for each role, against one codec for all roles, at the same bits a second in all.
#
#   bash experiments/track-codecs/run.sh [--store DIR] [--out DIR] [--seeds "1 2"] [--short]
#
# The store must hold drums, bass, harmony and melody at 24 kHz or more; the quickstart's is taken when
# none is named. What is done is not done again: run it again after a stop and it goes on. --short takes
# few steps of one seed (for tests): it shows that all works, not which side is better.
set -euo pipefail

store="" out="" seeds="" short=0
while [ $# -gt 0 ]; do
    case "$1" in
    --store) store="${2:?--store needs a folder}"; shift ;;
    --out) out="${2:?--out needs a folder}"; shift ;;
    --seeds) seeds="${2:?--seeds needs numbers}"; shift ;;
    --short) short=1 ;;
    -h | --help) sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "track-codecs: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
    shift
done
[ -z "$store" ] || store=$(realpath -m "$store")
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$root"
store=${store:-out/quickstart/store}
[ -n "$seeds" ] || { [ $short = 1 ] && seeds=1 || seeds="1 2"; }
[ -n "$out" ] || { [ $short = 1 ] && out=out/track-codecs-short || out=out/track-codecs; }
resonant=${RESONANT:-build/resonant}
roles=(drums bass harmony melody)

fail() { echo "track-codecs: $*" >&2; exit 1; }
[ -x "$resonant" ] || fail "$resonant is missing; build it: cmake -G Ninja -S . -B build && ninja -C build resonant"
[ -e "$store/index.jsonl" ] || fail "$store is no stem store; name one with --store, or run experiments/quickstart/run.sh first"

steps=3000 measured=()
[ $short = 0 ] || { steps=30 measured=(--songs 2 --seconds 4); }
every=$((steps / 3))
common=("store=$store" "runs=$out/runs" threads=1 pin=false "checkpoint_every=$every" keep_checkpoints=1)
# The shape in which all roles can be compared: 24 kHz, 3 x 9 bits at 50 Hz.
shape=(sample_rate=24000 "ratios=[8, 5, 4, 3]" codebooks=3)
mkdir -p "$out/logs" "$out/reports"

newest() { ls -d "$out/runs/$1"-*Z-* 2>/dev/null | sort | tail -n 1; }

# train NAME CONFIG STEPS [key=value...]: trains and measures, or goes on where it stopped.
train() {
    local name=$1 config=configs/codec/quickstart-$2.yaml count=$3 resume=() run
    shift 3
    [ ! -e "$out/reports/$name/metrics.json" ] || return 0
    [ -z "$(newest "$name")" ] || resume=(--resume)
    "$resonant" train "$config" "name=$name" "steps=$count" "validate_every=$every" "${common[@]}" "$@" "${resume[@]}" \
        >"$out/logs/$name.log" 2>&1 || { tail -n 3 "$out/logs/$name.log" >&2; return 1; }
    run=$(newest "$name")
    "$resonant" eval "$run" --data "$store" --threads 1 "${measured[@]}" --out "$out/reports/$name" \
        >>"$out/logs/$name.log" 2>&1 || { tail -n 3 "$out/logs/$name.log" >&2; return 1; }
    echo "  $name done, $((SECONDS / 60)):$(printf %02d $((SECONDS % 60)))"
}

# Two jobs at a time, each on one thread: the longest first.
jobs_of_seed() {
    local seed=$1 role
    echo "shared-s$seed drums $((4 * steps)) seed=$seed role=any band.low=0 band.high=0"
    for role in "${roles[@]}"; do echo "own-s$seed-$role $role $steps seed=$seed"; done
    for role in bass harmony melody; do echo "alike-s$seed-$role $role $steps seed=$seed alike"; done
}

work() {
    local line words failed=0
    while :; do
        # The next line is taken under a lock, so that no job is done twice.
        line=$(flock "$out/jobs.lock" sh -c 'head -n 1 "$1" && sed -i 1d "$1"' - "$out/jobs") || return 1
        [ -n "$line" ] || return $failed
        read -ra words <<<"$line"
        if [ "${words[-1]}" = alike ]; then
            train "${words[@]:0:$((${#words[@]} - 1))}" "${shape[@]}" || failed=1
        else
            train "${words[@]}" || failed=1
        fi
    done
}

for seed in $seeds; do jobs_of_seed "$seed"; done >"$out/jobs"
echo "track-codecs: $(wc -l <"$out/jobs") codecs, two at a time$([ $short = 1 ] && echo ' (short: few steps)')"
work & first=$!
work & second=$!
good=1
wait $first || good=0
wait $second || good=0
[ $good = 1 ] || fail "a codec failed; its log is in $out/logs; run again to go on"
python3 experiments/track-codecs/summary.py "$out/reports" $seeds | tee "$out/results.md"
echo "all of it in $((SECONDS / 60)):$(printf %02d $((SECONDS % 60))), this time"
