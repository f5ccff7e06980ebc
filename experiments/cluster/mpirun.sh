#!/usr/bin/env bash
# With mpirun, from one host:
#
#   mpirun -np 8 --hostfile HOSTS bash experiments/cluster/mpirun.sh CONFIG accumulate=16
#
# On one host the processes talk through shared memory; on several over MPI, which knows the way, so
# no place to meet has to be named. The plug-in (librg_mpi.so) must lie beside the program and belong
# to the MPI whose mpirun this is. When a process dies, mpirun ends the others.
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/worker.sh" "$@"
