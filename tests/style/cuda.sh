#!/usr/bin/env bash
# Kernels speak only the dialect of rg_cuda.cuh and rg_ptx.cuh: what those two spell for nvcc and for
# the emulator stands nowhere else, and nothing that depends on who runs beside whom.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t kernels < <(find kernels/cuda -name '*.cu' -o -name '*.cuh' | grep -vE '/rg_(cuda|ptx)\.cuh$' | sort)
words='<<<|\b__shared__\b|\basm\b|\b__activemask\b|\b__noinline__\b|\b__managed__\b|\bcudaMalloc|\bcudaDeviceSynchronize|\bcudaStreamSynchronize'
if grep -nE "$words" "${kernels[@]}" /dev/null | grep -vE '^[^:]*:[0-9]+: *(\*|/\*|//)'; then
    echo "the dialect of kernels/cuda/rg_cuda.cuh has no such words"
    exit 1
fi
if grep -LE '__launch_bounds__' $(grep -lE '^ *(static )?__global__' "${kernels[@]}") | grep .; then
    echo "a kernel says how many threads a block has at most: __launch_bounds__"
    exit 1
fi
