"""The table of the balancer's ablation from the reports' metrics.json: a row for each choice of weights.

    python3 summary.py REPORTS SEED...

Each cell is the mean over seeds, with the seeds' own values behind it. Fails when a report lacks a number.
"""
import json
import statistics
import sys
from pathlib import Path

WEIGHTS = ["1-1-1-1", "1-2-4-1", "1-2-100-1"]
METRICS = [("si_sdr", "SI-SDR, dB", "{:.1f}"), ("mel", "mel distance, dB", "{:.2f}")]


def figures(reports, name):
    rows = json.loads((reports / name / "metrics.json").read_text())["tables"]["codecs"]["rows"]
    row = next((row for label, row in rows.items() if ": codec" in label), None)
    if row is None:
        raise SystemExit(f"summary: no codec row in {name}")
    return {metric: float(row[metric]["value"]) for metric, _, _ in METRICS}


def cell(values, form):
    return form.format(statistics.mean(values)) + " (" + ", ".join(form.format(v) for v in values) + ")"


def main():
    reports, seeds = Path(sys.argv[1]), sys.argv[2:]
    print("| weights of l1, mel, adv, feat | " + " | ".join(f"{text}: {side}" for _, text, _ in METRICS for side in ("balanced", "plain")) + " |")
    print("|---|" + "---|" * 2 * len(METRICS))
    for four in WEIGHTS:
        found = {side: [figures(reports, f"{side}-{four}-s{seed}") for seed in seeds] for side in ("true", "false")}
        cells = [cell([f[metric] for f in found[side]], form) for metric, _, form in METRICS for side in ("true", "false")]
        print(f"| {four.replace('-', ', ')} | " + " | ".join(cells) + " |")


main()
