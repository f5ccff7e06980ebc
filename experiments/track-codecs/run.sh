#!/usr/bin/env bash
# Four codecs, one for each role, against one codec for all roles, at the same bits a second in all.
#
#   bash experiments/track-codecs/run.sh [--store DIR] [--out DIR] [--seeds "1 2"] [--short]
#
# The store must hold drums, bass, harmony and melody at 24 kHz or more; the quickstart's is taken when
# none is named. What is done is not done again: run it again after a stop and it goes on. --short takes
# few steps of one seed (for tests): it shows that all works, not which side is better.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
title=track-codecs seeds_default="1 2"
. experiments/codecs.sh
codec_options "$@"

roles=(drums bass harmony melody)
steps=3000 measured=()
[ $short = 0 ] || { steps=30 measured=(--songs 2 --seconds 4); }
# The shape in which all roles can be compared: 24 kHz, 3 x 9 bits at 50 Hz.
shape=(sample_rate=24000 "ratios=[8, 5, 4, 3]" codebooks=3)

# job SIDE SEED ROLE
job() {
    case "$1" in
    shared) train_codec "shared-s$2" quickstart-drums $((4 * steps)) "seed=$2" role=any band.low=0 band.high=0 ;;
    own) train_codec "own-s$2-$3" "quickstart-$3" "$steps" "seed=$2" ;;
    alike) train_codec "alike-s$2-$3" "quickstart-$3" "$steps" "seed=$2" "${shape[@]}" ;;
    esac
}

# The longest first.
for seed in $seeds; do
    echo "shared $seed all"
    for role in "${roles[@]}"; do echo "own $seed $role"; done
    for role in bass harmony melody; do echo "alike $seed $role"; done
done | run_jobs
python3 experiments/track-codecs/summary.py "$out/reports" $seeds | tee "$out/results.md"
took
