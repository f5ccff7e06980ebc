"""The predictions of `resonant bench --model --json`, a line each, as a Markdown table.

usage: summary.py FILE.json...
"""

import json
import sys


def largest(card):
    """Shares of the three slots that take the longest."""
    sums = {}
    for row in card["rows"]:
        sums[row["slot"]] = sums.get(row["slot"], 0) + row["ms"]
    first = sorted(sums, key=sums.get, reverse=True)[:3]
    return ", ".join(f"{name} {100 * sums[name] / card['bound_ms']:.0f} %" for name in first)


def main():
    names = None
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            step = json.load(file)
        cards = step["cards"]
        if names is None:
            names = [card["name"] for card in cards]
            print("| configuration | model, MiB | activations, MiB | GFLOP | GB | kernels | " + " | ".join(names)
                  + " | fusible | largest on the " + names[0] + " |")
            print("|---|--:|--:|--:|--:|--:|" + "--:|" * len(names) + "--:|---|")
        times = " | ".join(f"{card['bound_ms']:.2f} ms" for card in cards)
        flop = (step["products_flop"] + step["other_flop"]) / 1e9
        starts = step["kernels"] + step["chain"]
        print(f"| `{step['config'].removeprefix('configs/')}` | {step['model_bytes'] / 2**20:.0f} | "
              f"{step['activation_bytes'] / 2**20:.0f} | {flop:.0f} | {step['bytes'] / 1e9:.1f} | "
              f"{starts:.0f} | {times} | {100 * cards[0]['fusion_ms'] / cards[0]['bound_ms']:.0f} % | "
              f"{largest(cards[0])} |")


main()
