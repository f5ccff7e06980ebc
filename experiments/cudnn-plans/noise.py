"""Three songs of noise as stems of four roles, 48 kHz stereo, for a store that steps are rehearsed with.

usage: noise.py FOLDER
"""

import random
import sys
import wave
from pathlib import Path

SECONDS, RATE = 8, 48000

for song in range(3):
    for side in ("train", "valid", "test")[song:song + 1]:
        folder = Path(sys.argv[1]) / side / f"noise-{song}"
        folder.mkdir(parents=True, exist_ok=True)
        for role in ("drums", "bass", "harmony", "melody"):
            noise = random.Random(f"{song}/{role}").randbytes(4 * SECONDS * RATE)
            with wave.open(str(folder / f"{role}.wav"), "wb") as out:
                out.setnchannels(2)
                out.setsampwidth(2)
                out.setframerate(RATE)
                out.writeframes(noise)
