"""How well the songs of a store are heard: its labels against what `dataset features` stored.

    store.py STORE [--unseen tuned|listed] [--each] [--librosa] [--aubio]          needs h5py

For stores whose labels are true: mma-v1, whose songs were written to them, and debian-band, whose
tempi are those of the MIDI files. --unseen leaves out what songs.txt lists and every groove file
of its tuned half, or of both halves: what is left was never tuned on, or never looked at.
"""
import argparse
import glob
import os
import sys
import tempfile
import wave

import h5py
import numpy as np

from score import beat_f, chord_overlap, key_score, run_aubio, run_librosa, table, tempo_scores


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def chords(group):
    if "chords_label" not in group:
        return []
    columns = [group[f"chords_{name}"][()] for name in ("start_s", "end_s", "label")]
    return [{"start_s": a, "end_s": b, "label": text(c)} for a, b, c in zip(*columns)]


def score(said, heard):
    s, known = {}, said.attrs
    if known.get("tempo_bpm", 0) > 0:
        s.update(tempo_scores(known["tempo_bpm"], heard.attrs["tempo_bpm"]))
    for name in ("beats_s", "downbeats_s"):
        if name in said and len(said[name]):
            guess = list(heard[name][()]) if name in heard else []
            s[name.removesuffix("s_s") + " F"] = beat_f(list(said[name][()]), guess)
    if text(known.get("time_signature", "")) in ("3/4", "4/4"):
        s["meter"] = heard.attrs["meter"] == known["meter"]
    if known.get("key_tonic", -1) >= 0:
        truth = known["key_tonic"], known["key_mode"] == 1
        guess = heard.attrs["key_tonic"], heard.attrs["key_mode"] == 1
        s["key exact"] = truth == guess
        s["key MIREX"] = key_score(truth, guess)
    if chords(said):
        s["kinds"] = chord_overlap(chords(said), chords(heard), lambda label: label)
        s["chords WCSR"] = chord_overlap(chords(said), chords(heard))
    return s


def run_on_mix(run, file, song, said):
    """Scores of another program, which hears the sum of the stems."""
    stems = file[f"audio/{song}"][()].astype(np.int32)
    mix = np.clip(stems.reshape(stems.shape[0], -1, stems.shape[-1]).sum(axis=0)[0], -32768, 32767)
    with tempfile.NamedTemporaryFile(suffix=".wav") as sound:
        with wave.open(sound.name, "wb") as out:
            out.setparams((1, 2, int(file.attrs["sample_rate"]), 0, "NONE", ""))
            out.writeframes(mix.astype("<i2").tobytes())
        heard = run(sound.name)
    scores = tempo_scores(said.attrs["tempo_bpm"], heard["tempo"]["bpm"])
    scores["beat F"] = beat_f(list(said["beats_s"][()]), heard["beats_s"])
    return scores


def seen_songs(which):
    """Ids of songs.txt, and the groove files of its tuned half or of all."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "songs.txt")) as listed:
        halves = dict(line.split()[:2] for line in listed if line.strip() and line[0] != "#")
    return set(halves), {s.split("-", 1)[1] for s, half in halves.items()
                         if which == "listed" or half == "tune"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--unseen", choices=("tuned", "listed"))
    parser.add_argument("--each", action="store_true", help="a line for every song")
    parser.add_argument("--librosa", action="store_true")
    parser.add_argument("--aubio", action="store_true")
    args = parser.parse_args()
    others = {"librosa, mix": run_librosa} if args.librosa else {}
    if args.aubio:
        others["aubio, mix"] = run_aubio
    beside = {name: [] for name in others}
    ids, grooves = seen_songs(args.unseen) if args.unseen else (set(), set())
    scored, shards = {}, sorted(glob.glob(os.path.join(args.store, "*.h5")))
    for path in shards:
        with h5py.File(path) as file:
            for song in map(text, file["songs/id"][()]):
                group = file[f"features/{song}"]
                if "heard" not in group:
                    sys.exit(f"{path}: {song} has no features; run 'resonant dataset features'")
                if song in ids or song.split("-", 1)[-1] in grooves:
                    continue
                scored[song] = score(group, group["heard"])
                for name, run in others.items():
                    if "tempo acc1" in scored[song]:
                        beside[name].append(run_on_mix(run, file, song, group))
    if not scored:
        sys.exit(f"{args.store}: no songs")
    if args.each:
        for song, scores in scored.items():
            print(song, {k: round(float(v), 2) for k, v in scores.items() if v is not None})
    counted = sum("tempo acc1" in s for s in scored.values())
    print(f"{len(scored)} songs, {counted} with a tempo, "
          f"{len({s.split('-', 1)[-1] for s in scored})} groove files or titles")
    table([("ours, stems", list(scored.values())), *beside.items()])


if __name__ == "__main__":
    main()
