"""
Small trees of Slakh2100-redux and MUSDB18-HQ, opened by the packages that people use for them and
imported by resonant: both must see the same tracks, splits, instruments and samples.

  python3 experiments/importers/run.py build/resonant FOLDER

Writes the trees and stores into FOLDER (new), prints a table, and exits with 1 where the two differ.
"""
import importlib.metadata
import json
import os
import subprocess
import sys

import h5py
import mirdata
import mirdata.datasets.slakh
import musdb
import numpy as np
import pretty_midi
import soundfile

RATE = 44100
failures = []


def check(name, ok, what):
    print(f"{'same' if ok else 'DIFFERS'}\t{name}\t{what}")
    if not ok:
        failures.append(name)


def notes(seed, seconds=8):
    """Starts, lengths and pitches of a part."""
    rng = np.random.default_rng(seed)
    return [(0.25 * i, 0.3, int(rng.integers(64, 96))) for i in range(int(4 * seconds) - 2)]


def sound(part, seconds=8):
    out = np.zeros(seconds * RATE)
    for start, length, pitch in part:
        t = np.arange(int(length * RATE)) / RATE
        at = int(start * RATE)
        out[at : at + len(t)] += 0.1 * np.exp(-6 * t) * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t)
    return out


def write_midi(path, parts):
    midi = pretty_midi.PrettyMIDI()
    for program, drums, part in parts:
        instrument = pretty_midi.Instrument(program=program, is_drum=drums)
        for start, length, pitch in part:
            instrument.notes.append(pretty_midi.Note(100, pitch, start, start + length))
        midi.instruments.append(instrument)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    midi.write(path)


# ---- Slakh2100-redux ----

STEMS = [("S00", "Bass", False, 33), ("S01", "Drums", True, 0), ("S02", "Piano", False, 0), ("S03", "Reed", False, 65)]
TRACKS = {"Track00001": "train", "Track01502": "validation", "Track01877": "test", "Track00049": "omitted"}


def make_slakh(home):
    """The tree, and the index that mirdata would download, of these tracks."""
    index = {"version": "2100-redux", "tracks": {}, "multitracks": {}}
    for number, (track, split) in enumerate(TRACKS.items()):
        below = f"slakh2100_flac_redux/{split}/{track}"
        folder = os.path.join(home, below)
        os.makedirs(f"{folder}/stems")
        lines = ["UUID: 1a81ae092884234f3264e2f45927f00a", "audio_dir: stems", "midi_dir: MIDI", "lmd_midi_dir: lmd_matched/x.mid"]
        lines += ["normalization_factor: -13.0", "normalized: true", "overall_gain: 0.18", "target_peak: -1.0", "stems:"]
        mix, midi = 0, []
        for k, (stem, name, drums, program) in enumerate(STEMS):
            rendered = not (stem == "S03" and number == 1)  # such stems have no file
            lines += [f"  {stem}:", f"    audio_rendered: {str(rendered).lower()}", f"    inst_class: {name}"]
            lines += ["    integrated_loudness: -20.1", f"    is_drum: {str(drums).lower()}", f"    midi_program_name: {name}"]
            lines += ["    midi_saved: true", "    plugin_name: none.nkm", f"    program_num: {128 if drums else program}"]
            part = notes(10 * number + k)
            midi.append((program, drums, part))
            write_midi(f"{folder}/MIDI/{stem}.mid", midi[-1:])
            if rendered:
                soundfile.write(f"{folder}/stems/{stem}.flac", sound(part), RATE, "PCM_16")
                mix = mix + sound(part)
            paths = {"audio": f"{below}/stems/{stem}.flac" if rendered else None, "midi": f"{below}/MIDI/{stem}.mid", "metadata": f"{below}/metadata.yaml"}
            index["tracks"][f"{track}-{stem}"] = {key: [path, None] for key, path in paths.items()}
        soundfile.write(f"{folder}/mix.flac", mix, RATE, "PCM_16")
        write_midi(f"{folder}/all_src.mid", midi)
        with open(f"{folder}/metadata.yaml", "w") as file:
            file.write("\n".join(lines) + "\n")
        paths = {"mix": f"{below}/mix.flac", "midi": f"{below}/all_src.mid", "metadata": f"{below}/metadata.yaml"}
        index["multitracks"][track] = {key: [path, None] for key, path in paths.items()}
        index["multitracks"][track]["tracks"] = [f"{track}-{stem[0]}" for stem in STEMS]
    return index


def open_slakh(home, index):
    data = mirdata.datasets.slakh
    return {
        track: data.MultiTrack(track, home, "slakh", index, data.Track, lambda: None)
        for track, split in TRACKS.items()
        if split != "omitted"
    }


# ---- MUSDB18-HQ ----

SONGS = {"Leaf - Wicked": "train", "ANiMAL - Rockshow": "train", "PR - Oh No": "test"}


def make_musdb(root):
    for number, (song, subset) in enumerate(SONGS.items()):
        os.makedirs(f"{root}/{subset}/{song}")
        mix = 0
        for k, stem in enumerate(["drums", "bass", "other", "vocals"]):
            mono = sound(notes(100 + 10 * number + k))
            stereo = np.stack([mono, 0.5 * sound(notes(200 + 10 * number + k))], 1)
            mix = mix + stereo
            soundfile.write(f"{root}/{subset}/{song}/{stem}.wav", stereo, RATE, "PCM_16")
        soundfile.write(f"{root}/{subset}/{song}/mixture.wav", mix, RATE, "PCM_16")


# ---- both against a store ----


def stored(store):
    """title -> (split, roles present, samples by role)."""
    songs = {}
    with open(f"{store}/index.jsonl") as file:
        shards = [json.loads(line)["shard"] for line in file if '"shard"' in line]
    for shard in shards:
        with h5py.File(f"{store}/{shard}") as file:
            roles = file.attrs["roles"].decode().split(",")
            table = file["songs"]
            for i, title in enumerate(table["title"][:]):
                audio = file["audio"][table["id"][i].rstrip(b"\0").decode()]
                rows = {r: audio[k] / 32768 for k, r in enumerate(roles) if audio.attrs["present"][k]}
                songs[title.rstrip(b"\0").decode()] = (("train", "valid", "test")[table["split"][i]], rows)
    return songs


def run(resonant, form, root, store, *options):
    command = [resonant, "dataset", "import", form, root, "--out", store, "--rate", str(RATE), *options]
    subprocess.run(command, check=True)
    return stored(store)


def alike(a, b):
    """Lowest correlation of two signals' channels: gain does not count, the high-pass at 25 Hz takes a little."""
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    n = min(a.shape[1], b.shape[1])
    return min(float(np.corrcoef(x[:n], y[:n])[0, 1]) for x, y in zip(a, b, strict=True))


def compare(name, song, split, parts):
    """parts: role -> samples, as the package sees them."""
    there = song[1] if song else {}
    check(f"{name}: split", bool(song) and song[0] == split, split)
    check(f"{name}: roles", set(there) == set(parts), ", ".join(sorted(parts)))
    worst = min((alike(there[r], parts[r]) for r in parts if r in there), default=0)
    check(f"{name}: samples", worst > 0.995, f"lowest correlation {worst:.6f}")


def main(resonant, folder):
    os.makedirs(folder)
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("mirdata", "musdb", "h5py")))
    slakh, hq = f"{folder}/slakh", f"{folder}/musdb18hq"
    tracks = open_slakh(slakh, make_slakh(slakh))
    songs = run(resonant, "slakh", f"{slakh}/slakh2100_flac_redux", f"{folder}/slakh-store")
    check("Slakh2100: tracks", set(songs) == set(tracks), f"{len(tracks)}, without {len(TRACKS) - len(tracks)} omitted")
    role_of = {"Bass": "bass", "Drums": "drums", "Piano": "harmony", "Reed": "melody"}
    for name, track in tracks.items():
        parts = {role_of[t.instrument]: t.audio[0] for t in track.tracks.values() if t.audio_path}
        compare(name, songs.get(name), {"validation": "valid"}.get(track.split, track.split), parts)
    make_musdb(hq)
    songs = run(resonant, "musdb18hq", hq, f"{folder}/musdb-store")
    both = run(resonant, "musdb18hq", hq, f"{folder}/musdb-stereo", "--stereo", "keep")
    sides = {"train": ("train", "train"), "valid": ("train", "valid"), "test": ("test", None)}
    role_of = {"other": "harmony"}
    for side, (subset, split) in sides.items():
        for track in musdb.DB(root=hq, is_wav=True, subsets=subset, split=split):
            parts = {role_of.get(s, s): source.audio.T for s, source in track.sources.items()}
            compare(track.name, songs.get(track.name), side, {r: np.mean(x, axis=0) for r, x in parts.items()})
            compare(f"{track.name}, stereo", both.get(track.name), side, parts)
    print(f"{len(failures)} differences")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
