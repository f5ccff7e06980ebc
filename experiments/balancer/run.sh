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
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
title=balancer seeds_default="1 2 3"
. experiments/codecs.sh
codec_options "$@"

steps=1000 measured=(--seconds 20)
[ $short = 0 ] || { steps=30 measured=(--songs 2 --seconds 4); }
# The weights of l1, mel, adv and feat, constant over the run, as in the paper's table A.4.
weights=("1 1 1 1" "1 2 4 1" "1 2 100 1")

# job BALANCED SEED L1 MEL ADV FEAT
job() {
    train_codec "$1-$3-$4-$5-$6-s$2" quickstart-bass "$steps" "seed=$2" "balancer.enabled=$1" "losses.mse=[0, 0]" \
        "losses.l1=[$3, $3]" "losses.mel=[$4, $4]" "losses.adv=[$5, $5]" "losses.feat=[$6, $6]" \
        discriminator.filters=4 "discriminator.scales=[512, 128]" discriminator.start=0
}

for seed in $seeds; do
    for four in "${weights[@]}"; do
        for balanced in true false; do echo "$balanced $seed $four"; done
    done
done | run_jobs
python3 experiments/balancer/summary.py "$out/reports" $seeds | tee "$out/results.md"
took
