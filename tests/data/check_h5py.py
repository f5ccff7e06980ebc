"""
Reads a stem store with h5py and numpy alone, and compares it with what went in and what comes out.

One idea: nothing here knows our code; the layout is taken from the files themselves, (roles, frames) or
(roles, channels, frames). Every sample
of a song is compared with the WAV that `dataset export` wrote; a role must correlate with the WAV that was imported, and
levels and activity must be those that the store claims.

    make FOLDER          writes a data set of two songs
    check STORE EXPORT FOLDER CHANNELS
"""
import glob
import json
import os
import sys
import wave

import h5py
import numpy as np

RATE, SONGS = 16000, {"first": ["drums", "bass", "piano"], "second": ["drums", "bass"]}


def write_wav(path, samples):
    with wave.open(path, "wb") as f:
        f.setnchannels(samples.shape[1])
        f.setsampwidth(2)
        f.setframerate(RATE)
        f.writeframes(samples.astype("<i2").tobytes())


def read_wav(path):
    with wave.open(path, "rb") as f:
        assert (f.getsampwidth(), f.getframerate()) == (2, RATE), path
        return np.frombuffer(f.readframes(f.getnframes()), "<i2").reshape(-1, f.getnchannels()).T


def make(folder):
    rng = np.random.default_rng(5)
    for song, stems in SONGS.items():
        os.makedirs(f"{folder}/{song}")
        for i, stem in enumerate(stems):
            t = np.arange(RATE * 2 + 123) / RATE
            x = np.sin(2 * np.pi * 220 * (i + 1) * t) * (t % 0.5 < 0.3) + rng.normal(0, 0.05, t.size)
            right = np.roll(x, 31 * i) * 0.5 + rng.normal(0, 0.05, t.size)
            channels = [x] if stem == "bass" else [x, right]  # what is mono has both channels alike
            write_wav(f"{folder}/{song}/{stem}.wav", np.rint(6000 * np.stack(channels, axis=1)))


def same(what, a, b, tolerance=0):
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    assert np.all(np.abs(a - b) <= tolerance), f"{what}: differs by {np.max(np.abs(a - b))}"


def check_levels(name, audio, activity, r):
    x = audio[r].astype(np.float64).reshape(-1, audio.shape[-1]) / 32768
    same(f"{name}: peak", audio.attrs["peak"][r], np.max(np.abs(x)))
    same(f"{name}: level", audio.attrs["rms_dbfs"][r], 10 * np.log10(np.mean(x * x)), 1e-6)
    hop = round(activity.attrs["hop_s"] * RATE)
    for b in range(activity.shape[1]):
        block = x[:, b * hop : (b + 1) * hop]
        level = max(10 * np.log10(np.mean(block * block) + 1e-20) - activity.attrs["add_offset"], 0)
        same(f"{name}: activity {b}", activity[r, b], level, 0.51)


def check_alike(name, stored, source):
    if stored.shape[0] == 1:
        source = source.mean(axis=0, keepdims=True)
    if source.shape[0] < stored.shape[0]:
        same(f"{name}: both channels", stored[0], stored[1])
    for c in range(source.shape[0]):
        alike = np.corrcoef(stored[c], source[c])[0, 1]  # a high-pass at 25 Hz lies between
        assert alike > 0.95, f"{name}: channel {c} is not the source's, correlation {alike}"


def check_song(shard, row, export, folder, channels):
    song = json.load(open(f"{export}/song.json", encoding="utf-8"))
    audio = shard[f"audio/{song['id']}"]
    roles = shard.attrs["roles"].decode().split(",")
    assert audio.dtype == np.int16 and audio.chunks is None, "the samples are int16, contiguous"
    inner = () if channels == 1 else (channels,)
    assert shard["songs/frames"][row] == song["frames"]
    assert audio.shape == (len(roles), *inner, song["frames"])
    assert shard.attrs["channels"] == song["channels"] == channels
    assert shard.attrs["sample_rate"] == song["sample_rate"] == RATE
    sources = list(SONGS[song["title"]])
    for r, said in enumerate(song["roles"]):
        name = f"{song['id']}, {roles[r]}"
        assert said["role"] == roles[r] and said["present"] == bool(audio.attrs["present"][r]), name
        if not said["present"]:
            assert not np.any(audio[r]) and not os.path.exists(f"{export}/{roles[r]}.wav"), name
            continue
        stored = audio[r].reshape(channels, -1)
        same(f"{name}: exported", read_wav(f"{export}/{said['file']}"), stored)
        stem = {"harmony": "piano"}.get(roles[r], roles[r])
        source = read_wav(f"{folder}/{song['title']}/{sources.pop(sources.index(stem))}.wav")
        check_alike(f"{name}, {stem}.wav", stored, source)
        check_levels(name, audio, shard[f"activity/{song['id']}"], r)
    assert not sources, f"{song['id']}: {sources} are in no role"
    license = shard[f"provenance/{song['id']}"].attrs["license"].decode()
    assert license.strip() == (song["provenance"]["license"] or ""), "licence"


def check(store, export, folder, channels):
    index = [json.loads(line) for line in open(f"{store}/index.jsonl", encoding="utf-8")]
    files = sorted(glob.glob(f"{store}/*.h5"))
    assert [os.path.basename(f) for f in files] == [line["shard"] for line in index[1:]]
    seen = 0
    for path in files:
        with h5py.File(path, "r") as shard:
            assert shard.attrs["Conventions"].decode() == "ResonantGen-Stems-1.0"
            assert shard.attrs["complete"] == 1
            for row, song in enumerate(shard["songs/id"][:]):
                check_song(shard, row, f"{export}/{song.decode()}", folder, int(channels))
                seen += 1
    assert seen == index[0]["songs"] == len(os.listdir(export)) == 2, f"{seen} songs"
    print(f"h5py {h5py.__version__}: {seen} songs of {channels} channels, every sample as it should be")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
