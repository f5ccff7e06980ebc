#!/usr/bin/env bash
# Installs what is missing, builds with gcc and clang, passes every test. From a fresh checkout:
#
#   bash tests/run.sh            everything
#   bash tests/run.sh PATTERN    only the tests whose area/name matches (a build as always)
#
# Builds lie in build/ (gcc, Release), build/clang (compiled only, with the other FFT library) and
# build/emu (CUDA's kernels on the CPU, where the toolkit's headers are).
# Logs: build/test-logs. The last line is "N passed, N failed, N skipped"; exit status 1 when any
# failed. Not here: sanitizers, fuzzing, valgrind, the quickstart (.ci/run).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/support/packages.sh
. tests/support/harness.sh
pattern=${1:-.}
matching() { grep -E -- "^[^ ]*($pattern)" || true; }
jobs=$(nproc)
began=$(date +%s)

harness_begin build/test-logs
# shellcheck disable=SC2086
if ! need_packages $BUILD_PACKAGES $TEST_PACKAGES; then
    record fail packages
    harness_end || exit 1
fi
build_tree build "" -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release || harness_end || exit 1
build_tree build/clang "" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Release -DRG_FFT=kissfft || true

emulated=build/emu
headers=${CUDA_HOME:-/usr/local/cuda}/include
if [ -e "$headers/cuda_runtime_api.h" ] && { [ -e "$headers/cudnn.h" ] || [ -e /usr/include/cudnn.h ]; }; then
    build_tree build/emu emulated_tests -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DRG_CUDA=emu || emulated=""
else
    echo "SKIP cuemu: the headers of the CUDA toolkit and of cuDNN are not installed" | tee "$HARNESS_LOGS/cuemu.log"
    record_skips "$HARNESS_LOGS/cuemu.log" cuemu
    emulated=""
fi

# Every program at the highest level that lscpu shows (RG_ISA names it, so a dispatcher that does not
# see it fails); what computes with the process's level at each lower one too. The tests of kernels,
# operators and optimizer go through all levels by themselves.
mapfile -t levels < <(isa_levels)
highest=${levels[-1]}
echo "instruction sets: ${levels[*]}"
{
    programs build . | matching | while read -r name command; do
        echo "$name 900 env RG_ISA=$highest RESONANT=$PWD/build/resonant $command"
    done
    for level in "${levels[@]}"; do
        if [ "$level" = "$highest" ]; then continue; fi
        programs build '(nn|models|generate)/' | matching | while read -r name command; do
            echo "$name=$level 900 env RG_ISA=$level $command"
        done
    done
    if [ -n "$emulated" ]; then
        programs "$emulated" '(cuemu|cuda)/' | matching | while read -r name command; do
            echo "$name 900 $command"
        done
    fi
    echo "base/test_fft=kissfft 100 build/clang/test_fft" | matching
    for script in tests/*/test_*.sh tests/style/*.sh; do
        echo "${script#tests/} 900 env RESONANT=$PWD/build/resonant bash $script" | matching
    done
} | run_parallel "$jobs"

# What lscpu shows has run: the tests of kernels name their levels, the others carry them.
seen=$HARNESS_LOGS/kernels_test_levels.log
for level in "${levels[@]}"; do
    if [ -e "$seen" ] && ! grep -qx "level $level" "$seen"; then
        record fail "kernels at $level, which lscpu shows, were not tested"
    fi
    if [ "$pattern" = . ] && [ "$level" != "$highest" ] && ! grep -q "=$level\$" "$HARNESS_RESULTS"; then
        record fail "models at $level were not tested"
    fi
done
if ! grep -qvE '^[a-z]+ build ' "$HARNESS_RESULTS"; then record fail "no test is named like '$pattern'"; fi

echo "logs: build/test-logs; $(($(date +%s) - began)) s"
harness_end
