#!/usr/bin/env bash
# Speed beside PyTorch, transformers, encodec and librosa on this machine, in one command:
#
#   bash experiments/speed/run.sh [--rounds N] [--seconds S] [--keep-readme] [GROUP...]
#
# Makes a Python environment with the peers (7 GB below out/speed, once), builds, runs both sides in
# turns and writes the table in experiments/speed/README.md; --keep-readme only prints it. GROUPs:
# train seanet lstm gan codec decode features; none: all. Every row is in out/speed/results.json.
# RG_PEERS_VENV=DIR takes an environment that exists; RG_RESONANT=FILE a program that is built.
set -euo pipefail

fail() { echo "speed: $*" >&2; exit 1; }

rounds=3 seconds=1.5 readme=1 groups=()
while [ $# -gt 0 ]; do
    case "$1" in
    --rounds) rounds="${2:?--rounds needs a number}"; shift ;;
    --seconds) seconds="${2:?--seconds needs a number}"; shift ;;
    --keep-readme) readme=0 ;;
    -h | --help) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    -*) echo "speed: unknown option '$1'; see --help" >&2; exit 2 ;;
    *) groups+=("$1") ;;
    esac
    shift
done
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$here/../.."
out=out/speed need_mib=7000
mkdir -p "$out"

# ---- the peers ------------------------------------------------------------------------------------

make_environment() {
    local venv=$1 free_mib
    command -v python3 >/dev/null || fail "python3 is missing; install it: apt-get install python3-venv"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python cannot make an environment; install it: apt-get install python3-venv"
    free_mib=$(($(df -Pk "$out" | awk 'NR==2{print $4}') / 1024))
    [ "$free_mib" -ge "$need_mib" ] ||
        fail "the disk of $out has $free_mib MiB free; the peers need $need_mib MiB"
    echo "speed: installing the peers below $out (about 3 GB of downloads, 7 GB on disk)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" >"$out/install.log" 2>&1 || fail "no environment was made; see $out/install.log"
    "$venv/bin/pip" install --no-input --retries 2 -r "$here/requirements.txt" >>"$out/install.log" 2>&1 ||
        fail "the peers cannot be installed (no network?): $(grep -m 1 ERROR "$out/install.log" || tail -n 1 "$out/install.log")"
    touch "$venv/complete"
}

venv="${RG_PEERS_VENV:-$out/venv}"
if [ -n "${RG_PEERS_VENV:-}" ]; then
    [ -x "$venv/bin/python" ] || fail "RG_PEERS_VENV=$venv holds no bin/python"
elif [ ! -e "$venv/complete" ]; then
    make_environment "$venv"
fi
command -v g++ >/dev/null && [ -e "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    echo "speed: without g++ and python3-dev nothing is compiled on the peers' side" >&2

# ---- our side -------------------------------------------------------------------------------------

resonant="${RG_RESONANT:-build/resonant}"
if [ -z "${RG_RESONANT:-}" ]; then
    { cmake -G Ninja -S . -B build && ninja -C build resonant; } >"$out/build.log" 2>&1 ||
        fail "the build failed; see $out/build.log"
fi
[ -x "$resonant" ] || fail "RG_RESONANT=$resonant is no program"

# ---- in turns -------------------------------------------------------------------------------------

export TORCHINDUCTOR_CACHE_DIR="$PWD/$out/compiled" HF_HUB_OFFLINE=1
[ $readme = 1 ] && [ ${#groups[@]} = 0 ] && write=(--readme "$here/README.md") || write=()
exec "$venv/bin/python" "$here/compare.py" --resonant "$resonant" --python "$venv/bin/python" \
    --rounds "$rounds" --seconds "$seconds" --json "$out/results.json" "${write[@]}" "${groups[@]}"
