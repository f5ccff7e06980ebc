#!/usr/bin/env bash
# A Slurm job: one process per task, on as many nodes as asked for.
#
#   sbatch experiments/cluster/slurm.sh configs/tracks/base-phase1.yaml accumulate=16
#
# accumulate counts the micro-batches of all processes together: a multiple of their number.
#SBATCH --job-name=resonant
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# Ten minutes before the time is over every process is asked to stop: a checkpoint is written, and
# the job goes back into the queue to go on from it.
#SBATCH --signal=TERM@600
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# Where the processes meet: the first node, at a port that other jobs do not use. resonant would
# find the same by itself; said here, it can be seen and changed.
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export MASTER_ADDR MASTER_PORT

# --kill-on-bad-exit: the others stop by themselves within seconds when one is gone; this also ends
# those that have not met yet. --cpu-bind gives every task CPUs of its own, which it then pins to.
code=0
srun --kill-on-bad-exit=1 --cpu-bind=cores \
    bash "$SLURM_SUBMIT_DIR/experiments/cluster/worker.sh" "$@" || code=$?

# 143: stopped by TERM, after a checkpoint.
if [ "$code" = 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
