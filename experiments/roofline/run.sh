#!/usr/bin/env bash
# What a training step of every configuration takes at least on three GPUs, by their data sheets.
#
#   bash experiments/roofline/run.sh [--quickstart DIR] [--store DIR] [--out DIR]
#
# The transformers are opened with the store and the codecs that the quickstart left in
# out/quickstart (--quickstart); the codecs of 24 and 32 kHz with a store of at least their rate
# (--store; the quickstart's by default). A configuration for which there is no fitting store is
# named and left out. Needs no GPU; seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
quickstart=out/quickstart store="" out=out/roofline
while [ $# -gt 0 ]; do
    case "$1" in
    --quickstart) quickstart=$2 ;;
    --store) store=$2 ;;
    --out) out=$2 ;;
    *)
        echo "roofline: '$1' is not --quickstart, --store or --out"
        exit 2
        ;;
    esac
    shift 2
done
store=${store:-$quickstart/store}
if ! [ -d "$store" ] || ! [ -d "$quickstart/runs" ]; then
    echo "roofline: no store at $store or no runs in $quickstart; run experiments/quickstart/run.sh first"
    exit 1
fi
mkdir -p "$out"
codecs=()
for role in drums bass harmony melody; do
    codecs+=("roles.$role.codec=$(find "$quickstart/runs" -maxdepth 1 -name "codec-$role-*" | sort | tail -1)")
done
[ -x build/resonant ] || { cmake -G Ninja -S . -B build && cmake --build build; } >"$out/build.log"

# predict CONFIG KEY=VALUE...
predict() {
    local config=$1 name
    name=$(echo "${config#configs/}" | tr / -)
    shift
    if ! build/resonant bench --model "$config" "$@" --json >"$out/${name%.yaml}.json" 2>"$out/error"; then
        rm "$out/${name%.yaml}.json"
        echo "left out: $(tail -1 "$out/error")"
    fi
}

rm -f "$out"/*.json
for config in configs/codec/*.yaml; do
    case "$config" in
    *common*) ;;
    *-24k* | *-32k* | *-48k*) predict "$config" "store=$store" role=drums ;;
    *) predict "$config" "store=$store" ;;
    esac
done
for config in configs/tracks/*-phase1.yaml; do
    predict "$config" "store=$quickstart/store" "${codecs[@]}"
done
rm -f "$out/error"
python3 experiments/roofline/summary.py "$out"/*.json | tee "$out/results.md"
