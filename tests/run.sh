#!/usr/bin/env bash
# Installs what is missing, builds with gcc and clang, passes every test. From a fresh checkout:
#
#   bash tests/run.sh            everything
#   bash tests/run.sh PATTERN    only the tests whose area/name matches (a build as always)
#
# Builds lie in build/ (gcc, Release) and build/clang (compiled only, with the other FFT library).
# Logs: build/test-logs. The last line is "N passed, N failed, N skipped"; exit status 1 when any
# failed. Not here: sanitizers, fuzzing, valgrind, the quickstart (.ci/run).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/support/packages.sh
. tests/support/harness.sh
pattern=${1:-.}
jobs=$(nproc)
began=$(date +%s)

# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES $TEST_PACKAGES || exit 1

build() { # FOLDER COMPILER CMAKE-OPTIONS...
    local folder=$1 compiler=$2 start
    shift 2
    start=$(date +%s)
    mkdir -p "$folder"
    if ! { cmake -G Ninja -S . -B "$folder" -DCMAKE_C_COMPILER="$compiler" "$@" &&
        ninja -C "$folder"; } >"$folder/build.log" 2>&1; then
        echo "the build with $compiler failed; the end of $folder/build.log:"
        grep -E -A12 'error:|FAILED|CMake Error' "$folder/build.log" | tail -40
        return 1
    fi
    echo "built $folder with $compiler in $(($(date +%s) - start)) s"
}

harness_begin build/test-logs
if ! build build gcc -DCMAKE_BUILD_TYPE=Release; then
    record fail "build with gcc"
    harness_end
    exit 1
fi
record pass "build with gcc"
if build build/clang clang -DCMAKE_BUILD_TYPE=Release -DRG_FFT=kissfft; then
    record pass "build with clang"
else
    record fail "build with clang"
fi

# Every program at the highest level that lscpu shows (RG_ISA names it, so a dispatcher that does not
# see it fails); what computes with the process's level at each lower one too. The tests of kernels,
# operators and optimizer go through all levels by themselves.
mapfile -t levels < <(isa_levels)
highest=${levels[-1]}
echo "instruction sets: ${levels[*]}"
{
    programs build . | { grep -E -- "$pattern" || true; } | while read -r name command; do
        echo "$name 900 env RG_ISA=$highest RESONANT=$PWD/build/resonant $command"
    done
    for level in "${levels[@]}"; do
        if [ "$level" = "$highest" ]; then continue; fi
        programs build '(nn|models|generate)/' | { grep -E -- "$pattern" || true; } |
            while read -r name command; do
            echo "$name=$level 900 env RG_ISA=$level $command"
        done
    done
    programs_kiss=build/clang/test_fft
    if [ -x $programs_kiss ]; then echo "base/test_fft=kissfft 100 $programs_kiss"; fi
    for script in tests/*/test_*.sh tests/style/*.sh; do
        if ! [ -e "$script" ] || ! [[ $script =~ $pattern ]]; then continue; fi
        echo "${script#tests/} 900 env RESONANT=$PWD/build/resonant bash $script"
    done
} | run_parallel "$jobs"

echo "logs: build/test-logs; $(($(date +%s) - began)) s"
harness_end
