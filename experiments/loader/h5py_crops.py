"""
Random crops of two seconds of four stems through h5py: samples as a store has them (one contiguous
array a song), and compressed with gzip, as stem data sets often come. Everything warm, one thread.

    /usr/bin/python3 experiments/loader/h5py_crops.py        (Debian: python3-h5py)

`build/resonant bench loader` times the same crops of the same shapes.
"""
import tempfile
import time

import h5py
import numpy as np

RATE, ROLES, SONGS, SECONDS = 32000, 4, 6, 60
LAYOUTS = {
    "contiguous": {},
    "gzip 1, shuffle, chunks of 16,384": {"compression": "gzip", "compression_opts": 1, "shuffle": True, "chunks": (1, 16384)},
}


def song(k):
    t = np.arange(RATE * SECONDS) / RATE
    rows = [12000 * np.exp(-4 * (t % 0.5)) * np.sin(2 * np.pi * 110 * (1 + k + r) * t) for r in range(ROLES)]
    return np.rint(rows).astype(np.int16)


def crops_per_second(path, runs):
    rng = np.random.default_rng(1)
    with h5py.File(path, "r") as f:
        songs, n = [f[str(k)] for k in range(SONGS)], 2 * RATE
        for timed in range(2):  # the first pass warms the system's memory
            began = time.perf_counter()
            for _ in range(runs):
                at = rng.integers(RATE * SECONDS - n)
                crop = songs[rng.integers(SONGS)][:, at : at + n] * np.float32(1 / 32768)
            took = time.perf_counter() - began
    assert crop.shape == (ROLES, n)
    return runs / took


with tempfile.TemporaryDirectory() as folder:
    for name, options in LAYOUTS.items():
        with h5py.File(f"{folder}/songs.h5", "w") as f:
            for k in range(SONGS):
                f.create_dataset(str(k), data=song(k), **options)
        print(f"{name}: {crops_per_second(f'{folder}/songs.h5', 300):.0f} crops/s")
