#!/usr/bin/env bash
# One process of a job: what slurm.sh, torchrun.sh and mpirun start as often as there are ranks.
#
#   bash experiments/cluster/worker.sh CONFIG [key=value...]
#
# A job that was started again goes on where its run stopped. All ranks decide that alike, from what
# the launcher says: torchrun counts its restarts, Slurm those of a job that it put back into the
# queue. RESUME=1 says it by hand. Which rank this is, and where the ranks meet, resonant finds in
# the launcher's variables.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
again=${RESUME:-$((${TORCHELASTIC_RESTART_COUNT:-0} + ${SLURM_RESTART_COUNT:-0}))}
resume=()
[ "$again" = 0 ] || resume=(--resume)
exec build/resonant train "$@" "${resume[@]}"
