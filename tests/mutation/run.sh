#!/bin/sh
# Mutation test: plants small faults in src/ops and kernels/ref, one at a time, outside the tree,
# and requires the kernel and operator tests to fail for at least 95 % of them.
#
#   run.sh                240 mutants, seeded            run.sh --sample 10 --least 0.8   for CI
#   run.sh --only REGEX   only in files that match       run.sh --list          say which, build nothing
#
# Not here: what a mutant is (mutate.py) and which ones cannot be told apart (equivalent.txt).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in python3 cmake ninja; do
    command -v "$tool" >/dev/null || { echo "mutation: $tool is missing; install it" >&2; exit 2; }
done
exec python3 "$here/mutate.py" "$@"
