#!/usr/bin/env bash
# One codec of configs/codec on real stems, measured before and after its discriminator joins.
#
#   bash experiments/gan-codec/run.sh [--role drums] [--store DIR] [--out DIR] [--steps N] [--short]
#
# Without --store the full debian-band-v0 is built first (121 songs). What is done is not done again:
# run it again after a stop and it goes on. --short takes few steps (for tests): it shows that all works.
set -euo pipefail

role=drums store="" out="" steps=30000 short=0
while [ $# -gt 0 ]; do
    case "$1" in
    --role) role="${2:?--role needs a name}"; shift ;;
    --store) store="${2:?--store needs a folder}"; shift ;;
    --out) out="${2:?--out needs a folder}"; shift ;;
    --steps) steps="${2:?--steps needs a number}"; shift ;;
    --short) short=1 ;;
    -h | --help) sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "gan-codec: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
    shift
done
[ -z "$store" ] || store=$(realpath -m "$store")
[ -z "$out" ] || out=$(realpath -m "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -n "$out" ] || { [ $short = 1 ] && out=out/gan-codec-short || out=out/gan-codec; }
resonant=${RESONANT:-build/resonant}
config=configs/codec/$role.yaml

fail() { echo "gan-codec: $*" >&2; exit 1; }
[ -x "$resonant" ] || fail "$resonant is missing; build it: cmake -G Ninja -S . -B build && ninja -C build resonant"
[ -e "$config" ] || fail "$config is missing; roles are drums, bass, harmony and melody"
measured=()
[ $short = 0 ] || { steps=24 measured=(--songs 2 --seconds 2); }
# The discriminator joins after five sixths of the steps, as the configuration has it.
joins=$((steps * 5 / 6)) every=$((steps / 24))
[ $((joins % every)) = 0 ] && [ $every -gt 0 ] || fail "--steps: $steps is no multiple of 24"
mkdir -p "$out/reports"
if [ -z "$store" ]; then
    store=$out/store
    "$resonant" dataset build debian-band-v0 --out "$store"
fi

newest() { ls -d "$out/runs/$role"-*Z-* 2>/dev/null | sort | tail -n 1; }
resume=()
[ -z "$(newest)" ] || resume=(--resume)
"$resonant" train "$config" "store=$store" "runs=$out/runs" "name=$role" "steps=$steps" \
    discriminator.start=0.83334 "validate_every=$every" "checkpoint_every=$every" \
    keep_checkpoints=24 "${resume[@]}"
run=$(newest)
for step in "$joins" "$steps"; do
    report=$out/reports/$role-$step
    [ -e "$report/metrics.json" ] || "$resonant" eval "$run@$step" --data "$store" --out "$report" "${measured[@]}"
done
python3 experiments/gan-codec/summary.py "$run" "$out/reports/$role-$joins" "$out/reports/$role-$steps" \
    "$out/$role.svg" | tee "$out/$role.md"
