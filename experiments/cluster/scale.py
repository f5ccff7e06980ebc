#!/usr/bin/env python3
"""What many processes would give, from what a few were measured to take.

One idea: an update is micro-batches, then an exchange. With direct exchange (every process sends
every other one its slice, as src/dist does) a reduce-scatter of G bytes of gradients sends G/W to
each of the W - 1 others, and the all-gather of the new values as much again:

  inside  = G (g - 1) / W / B_inside      g processes share a host
  between = G (W - g) / W / B_between     B_between: a process' share of its host's link
  phase   = max(inside, between) + (W - 1) latency
  update  = m t + max(0, phase - hidden) + phase + u / W

m micro-batches of t seconds for each process; `hidden`, the part of the last micro-batch's backward
pass under which the reduce-scatter runs, is --overlap x t (0: none); u is AdamW of all parameters by
one process. Efficiency is m t / update: beside one process that exchanges nothing and whose AdamW
costs nothing. A prediction: links that are shared, slow hosts and unequal micro-batches come on top.
"""
import argparse


def update(a, world):
    gradient = 4 * a.parameters
    group = min(a.per_host, world)
    inside = gradient * (group - 1) / world / (a.inside * 1e9)
    between = gradient * (world - group) / world / (a.between * 1e9)
    phase = max(inside, between) + (world - 1) * a.latency * 1e-6
    compute = a.micros * a.micro_seconds
    hidden = a.overlap * a.micro_seconds
    return compute, phase, compute + max(0, phase - hidden) + phase + a.adamw_seconds / world


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--parameters", type=float, default=217.27e6, help="`model:` in the run's log")
    p.add_argument("--micro-seconds", type=float, required=True, help="t: one micro-batch, measured")
    p.add_argument("--micros", type=int, default=1, help="m: micro-batches of each process")
    p.add_argument("--adamw-seconds", type=float, default=0, help="u, measured")
    p.add_argument("--per-host", type=int, default=8, help="g")
    p.add_argument("--inside", type=float, default=200, help="GB/s between processes of a host")
    p.add_argument("--between", type=float, default=25, help="GB/s between hosts, for each process")
    p.add_argument("--latency", type=float, default=5, help="us a message")
    p.add_argument("--overlap", type=float, default=0.5, help="share of t that hides the exchange")
    p.add_argument("--worlds", type=int, nargs="+", default=[8, 64, 512])
    a = p.parse_args()
    print("| processes | update, s | of it one exchange, s | efficiency | micro-batches/s |")
    print("|---|---|---|---|---|")
    for world in a.worlds:
        compute, phase, seconds = update(a, world)
        print(f"| {world} | {seconds:.3f} | {phase:.4f} | {100 * compute / seconds:.1f} % "
              f"| {world * a.micros / seconds:.1f} |")


if __name__ == "__main__":
    main()
