#!/usr/bin/env bash
# Stem stores, mono and stereo, open without our code: h5py reads every sample of songs that were imported, and
# `dataset export` wrote (check_h5py.py).
set -eu
resonant=$(realpath "${RESONANT:-build/resonant}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python=/usr/bin/python3 # the one that Debian's python3-h5py belongs to
"$python" "$here/check_h5py.py" make stems
for channels in 1 2; do
    stereo=$([[ $channels == 1 ]] && echo mean || echo keep)
    rm -rf store export
    "$resonant" dataset import folder stems --out store --rate 16000 --stereo "$stereo" >log 2>&1 || { cat log; exit 1; }
    "$python" -c 'import glob, h5py
for f in glob.glob("store/*.h5"): print(*(i.decode() for i in h5py.File(f)["songs/id"]), sep="\n")' >ids
    mkdir export
    while read -r id; do
        "$resonant" dataset export store --song "$id" --out "export/$id" >log 2>&1 || { cat log; exit 1; }
    done <ids
    "$python" "$here/check_h5py.py" check store export stems "$channels"
done
