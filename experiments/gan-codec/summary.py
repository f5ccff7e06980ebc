"""What a discriminator did to a codec: a table of two reports and a picture of the run's curves.

    python3 summary.py RUN BEFORE AFTER PICTURE

BEFORE and AFTER are reports of the same run at two steps; PICTURE (SVG) shows validation and training
curves over the steps, with the step at which the discriminator joins. Fails when a number is missing.
"""
import json
import sys
from pathlib import Path

# Column of the reports' table "codecs" -> what it is, and its unit.
COLUMNS = [
    ("si_sdr", "SI-SDR, dB"), ("si_snr", "SI-SNR of 5 s frames, dB"), ("snr", "SNR, dB"),
    ("mel", "mel distance, dB"), ("stft", "STFT distance"), ("loudness", "loudness error, LU"), ("loudness_error", "its size, LU"),
    ("onset_f", "onset F"), ("chroma", "chroma cosine"),
]
CURVES = [
    ("valid", "mel_distance", "mel distance of held-out crops"),
    ("valid", "si_sdr", "SI-SDR of held-out crops, dB"),
    ("train", "ratio/adv", "share of the adversarial gradient's norm"),
    ("train", "discriminator/loss", "discriminator's loss (2: it cannot tell)"),
    ("train", "rvq/perplexity_0", "perplexity of the first codebook"),
]
WIDTH, HEIGHT, LEFT, TOP = 640, 110, 60, 24


def codec_row(report):
    rows = json.loads((Path(report) / "metrics.json").read_text())["tables"]["codecs"]["rows"]
    return {label.split(": codec")[0]: row for label, row in rows.items() if ": codec" in label}


def cell(row, column):
    """The value and its interval as text; a number that the report could not tell is a dash."""
    c = row.get(column) or {}
    if c.get("value") is None:
        return "-"
    low, high = c.get("low"), c.get("high")
    return f"{c['value']:.3f}" + (f" ({low:.3f} .. {high:.3f})" if low is not None else "")


def table(before, after):
    print("| metric | before it joins | at the end |\n|---|---|---|")
    for role, row in codec_row(before).items():
        end = codec_row(after)[role]
        known = [(c, t) for c, t in COLUMNS if c in row]
        if not known:
            raise SystemExit(f"summary: no known column in {before}")
        for column, text in known:
            print(f"| {text} | {cell(row, column)} | {cell(end, column)} |")


def curve(lines, kind, name):
    return [(l["step"], l["metrics"][name]) for l in lines
            if l["kind"] == kind and isinstance(l["metrics"].get(name), (int, float))]


def panel(points, text, top, last, joins):
    values = [v for _, v in points]
    low, high = min(values), max(values)
    span = (high - low) or 1
    at = lambda s, v: (LEFT + s / last * (WIDTH - LEFT - 10), top + HEIGHT - 30 - (v - low) / span * (HEIGHT - 50))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(s, v) for s, v in points))
    x, _ = at(joins, low)
    return (f'<text x="{LEFT}" y="{top + 10}">{text}</text>'
            f'<text x="4" y="{top + 24}">{high:.3g}</text><text x="4" y="{top + HEIGHT - 28}">{low:.3g}</text>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 14}" y2="{top + HEIGHT - 26}" stroke="#b33" stroke-dasharray="3"/>'
            f'<polyline points="{line}" fill="none" stroke="#247" stroke-width="1.3"/>')


def picture(run, joins, path):
    lines = [json.loads(l) for l in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    shown = [(curve(lines, k, n), text) for k, n, text in CURVES]
    shown = [(points, text) for points, text in shown if len(points) > 1]
    if not shown:
        raise SystemExit(f"summary: no curve in {run}")
    last = max(points[-1][0] for points, _ in shown)
    body = "".join(panel(points, text, TOP + i * HEIGHT, last, joins) for i, (points, text) in enumerate(shown))
    Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{TOP + len(shown) * HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{LEFT}" y="14">over {last} steps; dashed: the discriminator joins</text>{body}</svg>\n')


def main():
    run, before, after, path = sys.argv[1:]
    table(before, after)
    picture(run, int(Path(before).name.rsplit("-", 1)[1]), path)


main()
