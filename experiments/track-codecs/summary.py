"""The table of track-codecs from the reports' metrics.json: each side, role by role, means over seeds.

    python3 summary.py REPORTS SEED...

SI-SDR and mel distance with the difference to the shared codec, seed by seed; perplexity is the mean
over codebooks. Fails when a report lacks a number.
"""
import json
import statistics
import sys
from pathlib import Path

ROLES = ["drums", "bass", "harmony", "melody"]


def tables(reports, name):
    return json.loads((reports / name / "metrics.json").read_text())["tables"]


def value(cell):
    return float(cell["value"])


def figures(found, role):
    """SI-SDR, mel distance, mean perplexity and bitrate of one role in one report."""
    for label, row in found["codecs"]["rows"].items():
        if label.startswith(f"{role}: codec"):
            books = found[f"codec-{role}-usage"]["rows"]
            perplexity = [value(r["perplexity"]) for k, r in books.items() if k.startswith("codebook")]
            return {
                "si_sdr": value(row["si_sdr"]),
                "mel": value(row["mel"]),
                "perplexity": statistics.mean(perplexity),
                "bitrate": value(row["bitrate"]),
            }
    raise SystemExit(f"summary: no codec row of {role}")


def sides(seed, role):
    alike = f"own-s{seed}-drums" if role == "drums" else f"alike-s{seed}-{role}"
    return {"one for all": f"shared-s{seed}", "one each, same shape": alike, "one each, own rate": f"own-s{seed}-{role}"}


def spread(values):
    return "/".join(f"{v:+.2f}" for v in values)


def main():
    reports, seeds = Path(sys.argv[1]), sys.argv[2:]
    print("| role | side | bit/s | SI-SDR, dB | over one for all, by seed | mel distance, dB | over one for all, by seed | perplexity |")
    print("|---|---|---|---|---|---|---|---|")
    totals = {}
    for role in ROLES:
        found = {}
        for seed in seeds:
            for side, name in sides(seed, role).items():
                found.setdefault(side, []).append(figures(tables(reports, name), role))
        base = found["one for all"]
        for side, each in found.items():
            mean = {k: statistics.mean(f[k] for f in each) for k in each[0]}
            totals[side] = totals.get(side, 0) + mean["bitrate"]
            gain, mel = ([f[k] - b[k] for f, b in zip(each, base)] for k in ("si_sdr", "mel"))
            print(
                f"| {role} | {side} | {mean['bitrate']:.0f} | {mean['si_sdr']:.2f} | {spread(gain)} "
                f"| {mean['mel']:.2f} | {spread(mel)} | {mean['perplexity']:.0f} |"
            )
    print()
    print("In all: " + "; ".join(f"{side} {bits:.0f} bit/s" for side, bits in totals.items()) + ".")


main()
