#!/usr/bin/env bash
# With torchrun, on every host of the job:
#
#   HOSTS=2 PER_HOST=4 MEET=node1:29400 bash experiments/cluster/torchrun.sh CONFIG accumulate=16
#
# torchrun only starts the processes and tells them their ranks: --no-python, nothing of PyTorch is
# used. When one fails it starts all of them again, up to RESTARTS times, and worker.sh goes on from
# the last checkpoint. torchrun keeps the port that it hands out (MASTER_PORT) for itself; the
# processes meet at the next one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec torchrun --nnodes "${HOSTS:-1}" --nproc-per-node "${PER_HOST:-2}" \
    --max-restarts "${RESTARTS:-3}" --rdzv-backend c10d --rdzv-endpoint "${MEET:-localhost:29400}" \
    --rdzv-id "${JOB:-resonant}" --no-python bash "$here/worker.sh" "$@"
