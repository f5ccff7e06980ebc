#!/usr/bin/env python3
"""Exact match per field of `resonant prompt` on labelled prompts (README.md says how they are written).

    score.py RESONANT FILE [--wrong]

A field of a prompt is right when everything in it is: value, range, track, mode. "present" counts the
prompts that ask for the field; of the others the analyzer must say nothing. Exit status 1 if a
field is under 95 % of its prompts.
"""
import json
import subprocess
import sys

TRACKS = ["drums", "bass", "harmony", "melody", "vocals"]


def labels(line):
    text, _, said = line.rstrip("\n").rpartition(" |")
    return text, dict(part.strip().split("=", 1) for part in said.split(";") if part.strip())


def wanted_tempo(label):
    if not label:
        return None
    if label[0] == "~":
        value = float(label[1:])
        return (value, value * 0.95, value * 1.05)
    low, _, high = label.partition("-")
    low, high = float(low), float(high or low)
    return ((low + high) / 2, low, high)


def names(label, track=False):
    """A set of (name, track or None)."""
    mark = ":" if track else "@"
    pairs = (item.partition(mark) for item in (label or "").split(",") if item)
    return sorted((name, at or "") for name, _, at in pairs)


def wanted(label):
    tracks = {name: None for name in TRACKS}
    for _, track in names(label.get("inst"), True):
        tracks[track] = True
    for part in (label.get("tracks") or "").split(","):
        if part:
            tracks[part[1:]] = part[0] == "+"
    listed = lambda key: sorted(filter(None, (label.get(key) or "").split(",")))
    key = label.get("key")
    return {
        "tempo_bpm": wanted_tempo(label.get("tempo")),
        "feel": label.get("feel"),
        "key": tuple(None if part == "-" else part for part in key.split(" ")) if key else None,
        "meter": label.get("meter"),
        "duration_s": label.get("dur"),
        "genres": listed("genres"),
        "moods": names(label.get("moods")),
        "instruments": names(label.get("inst"), True),
        "tracks": tracks,
        "energy": label.get("energy"),
        "production": names(label.get("prod")),
        "unwanted": listed("not"),
        "conflicts": listed("conf"),
        "unknown": listed("unknown"),
    }


def got(out):
    tempo, key, meter, length = out["tempo_bpm"], out["key"], out["meter"], out["duration_s"]
    said = tempo and tempo["source"] == "said" and tempo["value"] is not None
    tracked = lambda key: sorted((one["name"], one["track"] or "") for one in out[key])
    return {
        "tempo_bpm": tuple(tempo[k] for k in ("value", "low", "high")) if said else None,
        "feel": tempo["feel"] if tempo else None,
        "key": (key["tonic"], key["mode"]) if key else None,
        "meter": meter["value"] if meter else None,
        "duration_s": None if not length else "%gbars" % length["bars"] if length["bars"]
        else "%g" % length["value"],
        "genres": sorted(one["name"] for one in out["genres"]),
        "moods": tracked("moods"),
        "instruments": tracked("instruments"),
        "tracks": {name: out["tracks"][name]["wanted"] for name in TRACKS},
        "energy": out["energy"]["value"] if out["energy"] else None,
        "production": tracked("production"),
        "unwanted": sorted(one["name"] for one in out["unwanted"]),
        "conflicts": sorted({one["field"] for one in out["conflicts"]}),
        "unknown": sorted(word.lower() for word in out["unknown"]),
    }


def same(a, b):
    if isinstance(a, tuple) and isinstance(b, tuple) and isinstance(a[0], float):
        return len(a) == len(b) and all(abs(x - y) <= 1e-9 * abs(y) for x, y in zip(a, b))
    return a == b


def is_present(value):
    return any(v is not None for v in value.values()) if isinstance(value, dict) else bool(value)


def main():
    resonant, path, show = sys.argv[1], sys.argv[2], "--wrong" in sys.argv
    lines = open(path, encoding="utf-8").readlines()
    right, present, right_present, whole = {}, {}, {}, 0
    for line in lines:
        text, label = labels(line)
        run = subprocess.run([resonant, "prompt", text, "--json"], capture_output=True, text=True,
                             check=True)
        want, have = wanted(label), got(json.loads(run.stdout))
        wrong = [field for field in want if not same(have[field], want[field])]
        whole += not wrong
        for field in want:
            ok, there = field not in wrong, is_present(want[field])
            right[field] = right.get(field, 0) + ok
            present[field] = present.get(field, 0) + there
            right_present[field] = right_present.get(field, 0) + (ok and there)
        for field in wrong if show else []:
            print(f"{text!r}: {field}: wanted {want[field]}, got {have[field]}", file=sys.stderr)
    n = len(lines)
    print("| field | right | exact match | asked for | right of these |\n|---|---|---|---|---|")
    for field in right:
        print(f"| {field} | {right[field]} of {n} | {100 * right[field] / n:.1f} % "
              f"| {present[field]} | {right_present[field]} |")
    print(f"| all fields of a prompt | {whole} of {n} | {100 * whole / n:.1f} % | | |")
    return any(count < 0.95 * n for count in right.values())


sys.exit(main())
