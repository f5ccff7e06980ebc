#!/usr/bin/env bash
# A small codec against a small discriminator, with and without the loss balancer, for three choices
# of weights: what becomes of it?
#
#   bash experiments/balancer/run.sh [--store DIR] [--out DIR] [--seeds "1 2 3"] [--short]
#
# The store must hold the bass; the quickstart's is taken when none is named. What is done is not done
# again: run it again after a stop and it goes on. --short takes few steps of one seed (for tests): it
# shows that all works, not which side is better.
set -euo pipefail

store="" out="" seeds="" short=0
while [ $# -gt 0 ]; do
    case "$1" in
    --store) store="${2:?--store needs a folder}"; shift ;;
    --out) out="${2:?--out needs a folder}"; shift ;;
    --seeds) seeds="${2:?--seeds needs numbers}"; shift ;;
    --short) short=1 ;;
    -h | --help) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "balancer: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
    shift
done
[ -z "$store" ] || store=$(realpath -m "$store")
[ -z "$out" ] || out=$(realpath -m "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
store=${store:-out/quickstart/store}
[ -n "$seeds" ] || { [ $short = 1 ] && seeds=1 || seeds="1 2 3"; }
[ -n "$out" ] || { [ $short = 1 ] && out=out/balancer-short || out=out/balancer; }
resonant=${RESONANT:-build/resonant}

fail() { echo "balancer: $*" >&2; exit 1; }
[ -x "$resonant" ] || fail "$resonant is missing; build it: cmake -G Ninja -S . -B build && ninja -C build resonant"
[ -e "$store/index.jsonl" ] || fail "$store is no stem store; name one with --store, or run experiments/quickstart/run.sh first"

steps=1000 measured=(--seconds 20)
[ $short = 0 ] || { steps=30 measured=(--songs 2 --seconds 4); }
# The weights of l1, mel, adv and feat, constant over the run, as in the paper's table A.4.
weights=("1 1 1 1" "1 2 4 1" "1 2 100 1")
mkdir -p "$out/logs" "$out/reports"

newest() { ls -d "$out/runs/$1"-*Z-* 2>/dev/null | sort | tail -n 1; }

# train BALANCED SEED L1 MEL ADV FEAT: trains and measures, or goes on where it stopped.
train() {
    local name="$1-$3-$4-$5-$6-s$2" resume=() run
    [ ! -e "$out/reports/$name/metrics.json" ] || return 0
    [ -z "$(newest "$name")" ] || resume=(--resume)
    "$resonant" train configs/codec/quickstart-bass.yaml "name=$name" "store=$store" "runs=$out/runs" \
        threads=1 pin=false "steps=$steps" "seed=$2" "balancer.enabled=$1" "losses.mse=[0, 0]" \
        "losses.l1=[$3, $3]" "losses.mel=[$4, $4]" "losses.adv=[$5, $5]" "losses.feat=[$6, $6]" \
        discriminator.filters=4 "discriminator.scales=[512, 128]" discriminator.start=0 \
        "validate_every=$((steps / 2))" "checkpoint_every=$((steps / 2))" keep_checkpoints=1 "${resume[@]}" \
        >"$out/logs/$name.log" 2>&1 || { tail -n 3 "$out/logs/$name.log" >&2; return 1; }
    run=$(newest "$name")
    "$resonant" eval "$run" --data "$store" --threads 1 "${measured[@]}" --out "$out/reports/$name" \
        >>"$out/logs/$name.log" 2>&1 || { tail -n 3 "$out/logs/$name.log" >&2; return 1; }
    echo "  $name done, $((SECONDS / 60)):$(printf %02d $((SECONDS % 60)))"
}

work() {
    local line words failed=0
    while :; do
        # The next line is taken under a lock, so that no job is done twice.
        line=$(flock "$out/jobs.lock" sh -c 'head -n 1 "$1" && sed -i 1d "$1"' - "$out/jobs") || return 1
        [ -n "$line" ] || return $failed
        read -ra words <<<"$line"
        train "${words[@]}" || failed=1
    done
}

for seed in $seeds; do
    for four in "${weights[@]}"; do
        for balanced in true false; do echo "$balanced $seed $four"; done
    done
done >"$out/jobs"
echo "balancer: $(wc -l <"$out/jobs") codecs, two at a time$([ $short = 1 ] && echo ' (short: few steps)')"
work & first=$!
work & second=$!
good=1
wait $first || good=0
wait $second || good=0
[ $good = 1 ] || fail "a codec failed; its log is in $out/logs; run again to go on"
python3 experiments/balancer/summary.py "$out/reports" $seeds | tee "$out/results.md"
echo "all of it in $((SECONDS / 60)):$(printf %02d $((SECONDS % 60))), this time"
