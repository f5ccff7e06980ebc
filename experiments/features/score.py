"""How well `resonant analyze` hears songs whose truth is known, with librosa and aubio beside it.

    score.py SONGS [--half tune|report|all] [--resonant build/resonant] [--librosa] [--aubio]

SONGS holds one folder a song: labels.json (as `dataset build mma-v1 --midi` writes them), mix.wav
and one file a role. Halves are those of songs.txt beside this file; no groove file is in both.
"""
import argparse
import json
import os
import subprocess
import sys

ROLES = ("drums", "bass", "harmony", "melody")
NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def pitch(name):
    return (NOTES[name[0]] + name.count("#") - name.count("b")) % 12


def triad(label):
    """(root, minor), None for no chord, "skip" for what is neither major nor minor."""
    if label == "N":
        return None
    root, kind = label.split(":")
    if kind.startswith("min"):
        return pitch(root), True
    return (pitch(root), False) if kind[0] in "m7" else "skip"


def beat_f(truth, guess, window=0.07):
    if not truth or not guess:
        return 0.0
    i = j = hits = 0
    while i < len(truth) and j < len(guess):
        if abs(truth[i] - guess[j]) <= window:
            hits, i, j = hits + 1, i + 1, j + 1
        elif truth[i] < guess[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / (len(truth) + len(guess))


def key_score(truth, guess):
    (t, tm), (g, gm) = truth, guess
    up = (g - t) % 12
    if tm == gm:
        return 1.0 if up == 0 else 0.5 if up in (5, 7) else 0.0
    if up == (3 if tm else 9):
        return 0.3
    return 0.2 if up == 0 else 0.0


def chord_overlap(truth, guess, name=triad):
    """Share of the time with a major or minor truth at which both agree (WCSR)."""
    right = total = 0.0
    for t in truth:
        want = name(t["label"])
        if want == "skip":
            continue
        total += t["end_s"] - t["start_s"]
        for g in guess:
            overlap = min(t["end_s"], g["end_s"]) - max(t["start_s"], g["start_s"])
            if overlap > 0 and name(g["label"]) == want:
                right += overlap
    return right / total if total else None


def tempo_scores(truth, bpm):
    near = lambda f: abs(bpm - truth * f) <= 0.04 * truth * f
    return {"tempo acc1": near(1), "tempo acc2": any(map(near, (1, 2, 0.5, 3, 1 / 3)))}


def score(labels, heard):
    s = {}
    tempo = heard["tempo"]
    s.update(tempo_scores(labels["tempo_bpm"], tempo["bpm"] if tempo else 0))
    s["beat F"] = beat_f(labels["beats_s"], heard["beats_s"])
    if "downbeats_s" in heard:
        s["downbeat F"] = beat_f(labels["downbeats_s"], heard["downbeats_s"])
    if "meter" in heard and labels["time_signature"] in ("3/4", "4/4"):
        s["meter"] = heard["meter"]["value"] == labels["meter"]
    if heard.get("key"):
        truth = labels["key_tonic"], labels["key_mode"] == 1
        guess = pitch(heard["key"]["tonic"]), heard["key"]["mode"] == "minor"
        s["key exact"] = truth == guess
        s["key MIREX"] = key_score(truth, guess)
    if "chords" in heard:
        s["kinds"] = chord_overlap(labels["chords"], heard["chords"], lambda label: label)
        s["chords WCSR"] = chord_overlap(labels["chords"], heard["chords"])
    return s


def run_ours(program, paths):
    """One process for all songs: --json prints an array."""
    out = subprocess.run([program, "analyze", "--json", *paths], check=True, capture_output=True)
    heard = json.loads(out.stdout)
    return heard if isinstance(heard, list) else [heard]


def run_librosa(path):
    import librosa  # slow to load: only where wanted

    x, rate = librosa.load(path, sr=22050)
    tempo, beats = librosa.beat.beat_track(y=x, sr=rate, units="time")
    return {"tempo": {"bpm": float(tempo.item() if hasattr(tempo, "item") else tempo)},
            "beats_s": [float(b) for b in beats]}


def run_aubio(path):
    """aubio's tempo object; one tempo: that of the median gap between its beats."""
    import aubio  # pip: aubio 0.4.9

    source = aubio.source(path, hop_size=512)
    tracker, beats = aubio.tempo("default", 1024, 512, source.samplerate), []
    while True:
        samples, read = source()
        if tracker(samples):
            beats.append(float(tracker.get_last_s()))
        if read < 512:
            break
    gaps = sorted(b - a for a, b in zip(beats, beats[1:]))
    return {"tempo": {"bpm": 60 / gaps[len(gaps) // 2] if gaps else 0.0}, "beats_s": beats}


def table(rows):
    names = []
    for _, scores in rows:
        names += [n for n in dict.fromkeys(n for s in scores for n in s) if n not in names]
    print(f"{'':22s}" + "".join(f"{n:>13s}" for n in names))
    for title, scores in rows:
        cells = []
        for name in names:
            values = [float(s[name]) for s in scores if s.get(name) is not None]
            cells.append(f"{sum(values) / len(values):13.3f}" if values else f"{'-':>13s}")
        print(f"{title:22s}" + "".join(cells))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("songs")
    parser.add_argument("--half", choices=("tune", "report", "all"), default="report")
    parser.add_argument("--resonant", default="build/resonant")
    parser.add_argument("--librosa", action="store_true")
    parser.add_argument("--aubio", action="store_true")
    parser.add_argument("--each", action="store_true", help="a line for every song")
    args = parser.parse_args()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "songs.txt")) as listed:
        halves = dict(line.split()[:2] for line in listed if line.strip() and line[0] != "#")
    chosen = [s for s in sorted(halves) if args.half in ("all", halves[s])]
    folders = [os.path.join(args.songs, s) for s in chosen]
    missing = [f for f in folders if not os.path.exists(os.path.join(f, "labels.json"))]
    if missing:
        sys.exit(f"{missing[0]}: no labels.json ({len(missing)} of {len(folders)} songs missing)")
    labels = [json.load(open(os.path.join(f, "labels.json"))) for f in folders]
    mixes = [os.path.join(f, "mix.wav") for f in folders]
    rows = [("ours, stems", run_ours(args.resonant, folders)),
            ("ours, mix", run_ours(args.resonant, mixes))]
    if args.librosa:
        rows.append(("librosa", [run_librosa(m) for m in mixes]))
    if args.aubio:
        rows.append(("aubio", [run_aubio(m) for m in mixes]))
    scored = [(name, [score(t, h) for t, h in zip(labels, heard)]) for name, heard in rows]
    if args.each:
        for i, song in enumerate(chosen):
            for name, scores in scored:
                print(song, name, labels[i]["tempo_bpm"], rows[0][1][i]["tempo"],
                      {k: round(float(v), 2) for k, v in scores[i].items() if v is not None})
    print(f"{len(chosen)} songs, half: {args.half}")
    table(scored)


if __name__ == "__main__":
    main()
