#!/usr/bin/env bash
# Builds the program with RG_CUDA=on (nvcc, one generation of GPUs) in a folder, and starts it: it
# depends on no library of NVIDIA's and says what the machine has.
#
#     bash tests/cuda/built.sh FOLDER
set -euo pipefail
folder=$1
if ! command -v nvcc >/dev/null; then
    echo "SKIP cuda/built: nvcc is not installed"
    exit 0
fi
cmake -G Ninja -S . -B "$folder" -DRG_CUDA=on -DRG_CUDA_ARCHITECTURES=86 >"$folder.cmake.log"
ninja -C "$folder" resonant test_cuda_kernels test_cuda_ops >"$folder.ninja.log"
if ldd "$folder/resonant" | grep -E 'lib(cuda|cublas|cudnn|cufft|nv|nccl)'; then
    echo "the program is linked with libraries that not every machine has"
    exit 1
fi
"$folder/resonant" devices --json | python3 -c '
import json, sys
cuda = json.load(sys.stdin)["cuda"]
assert cuda["devices"] or "device cuda: " in cuda["reason"], cuda
assert "built without" not in cuda.get("reason", ""), cuda
assert cuda["libraries"], cuda
print(len(cuda["devices"]), "GPUs;", cuda.get("reason", ""))'
