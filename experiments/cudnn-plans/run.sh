#!/usr/bin/env bash
# Which plans the real cuDNN has for every convolution of a training step of every configuration, on
# GPUs from sm_75 to sm_120. Needs no GPU; a minute or two.
#
#   bash experiments/cudnn-plans/run.sh [--library LIBCUDNN.so.9] [--out DIR]
#
# Without --library it takes that of CUDA_HOME, or else installs the package nvidia-cudnn-cu13 for
# itself (DIR/venv, 0.5 GB). Where neither is to be had it says so in one line and is done. Exit
# status 1 when a plan is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
library="" out=out/cudnn-plans
while [ $# -gt 0 ]; do
    case "$1" in
    --library) library=$2 ;;
    --out) out=$2 ;;
    *)
        echo "cudnn-plans: '$1' is not --library or --out"
        exit 2
        ;;
    esac
    shift 2
done
toolkit=${CUDA_HOME:-/usr/local/cuda}
mkdir -p "$out"
if ! [ -e "$toolkit/include/cuda_runtime_api.h" ] || ! [ -e "$toolkit/include/cudnn.h" ]; then
    echo "SKIP cuda/plans: the headers of the CUDA toolkit and of cuDNN are not installed"
    exit 0
fi
if [ -z "$library" ]; then library=$(compgen -G "$toolkit/lib*/libcudnn.so.9" | head -1 || true); fi
if [ -z "$library" ]; then
    [ -x "$out/venv/bin/pip" ] || python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install -q --no-deps 'nvidia-cudnn-cu13==9.19.*' >"$out/pip.log" 2>&1 || true
    library=$(find "$out/venv" -name libcudnn.so.9 | head -1)
fi
if [ -z "$library" ]; then
    echo "SKIP cuda/plans: cuDNN is not installed and cannot be downloaded"
    exit 0
fi
{
    cmake -G Ninja -S . -B build/emu -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DRG_CUDA=emu
    cmake --build build/emu --target cudnn_plans resonant
} >"$out/build.log"

# Steps are rehearsed, not trained: a store of noise of the highest rate is enough.
if ! [ -d "$out/store" ]; then
    python3 experiments/cudnn-plans/noise.py "$out/stems"
    build/emu/resonant dataset import folder "$out/stems" --rate 48000 --out "$out/store" \
        >"$out/import.log"
fi
codecs=()
for role in drums bass harmony melody; do # of tracks: their sizes count, not what they learnt
    if ! compgen -G "$out/runs/codec-$role-*" >/dev/null; then
        build/emu/resonant train "configs/codec/quickstart-$role.yaml" --device cpu \
            "store=$out/store" "runs=$out/runs" steps=1 >"$out/$role.log"
    fi
    codecs+=("roles.$role.codec=$(compgen -G "$out/runs/codec-$role-*" | tail -1)")
done
asked=()
for config in configs/codec/*.yaml; do
    case "$config" in
    *common*) ;;
    *-24k* | *-32k* | *-48k*) asked+=(-- "$config" "store=$out/store" role=drums) ;;
    *) asked+=(-- "$config" "store=$out/store") ;;
    esac
done
for config in configs/tracks/*-phase1.yaml; do # those of the other phases have the same shapes
    asked+=(-- "$config" "store=$out/store" "${codecs[@]}")
done
LD_LIBRARY_PATH=$(dirname "$library")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
build/emu/cudnn_plans "$library" "${asked[@]:1}" | tee "$out/results.md"
