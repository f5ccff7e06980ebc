#!/usr/bin/env bash
# Makes the songs of songs.txt: stems, mix and true labels, a folder each.
#
#   bash experiments/features/songs.sh FOLDER [RESONANT]     python3 with numpy mixes the stems
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}") out=$1 resonant=${2:-build/resonant}
[ -d "$out/store" ] || "$resonant" dataset build mma-v1 --songs 112 --out "$out/store" --midi "$out/midi"
while read -r song half; do
    [ "$song" != "#" ] || continue
    [ -d "$out/songs/$song" ] || "$resonant" dataset export "$out/store" --song "$song" --out "$out/songs/$song" >/dev/null
    cp "$out/midi/$song.json" "$out/songs/$song/labels.json"
    python3 - "$out/songs/$song" <<'PYTHON'
import glob, sys, wave
import numpy as np
total = 0
for path in glob.glob(sys.argv[1] + "/*.wav"):
    with wave.open(path) as f:
        rate = f.getframerate()
        if not path.endswith("/mix.wav"):
            total = total + np.frombuffer(f.readframes(f.getnframes()), "<i2").astype(np.int32)
with wave.open(sys.argv[1] + "/mix.wav", "wb") as f:
    f.setparams((1, 2, rate, 0, "NONE", ""))
    f.writeframes(np.clip(total, -32768, 32767).astype("<i2").tobytes())
PYTHON
done <"$here/songs.txt"
