#!/usr/bin/env python3
"""EnCodec at its published sizes, random weights: `resonant` beside transformers on the same folder.

    python experiments/encodec-parity/run.py [FOLDER]      (torch, transformers, safetensors, numpy)

For each shape: import, encode and decode at every bandwidth, compare with the peer in float and in
double; export, load with EncodecModel.from_pretrained, compare with the model it came from.
"""
import copy
import importlib.util
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import EncodecConfig, EncodecModel

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("make", ROOT / "tests/golden/encodec/make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
RESONANT = os.environ.get("RESONANT", str(ROOT / "build/resonant"))
SECONDS = 4.37
SHAPES = {
    "24khz": {},
    "32khz": dict(sampling_rate=32000, num_filters=64, upsampling_ratios=[8, 5, 4, 4],
                  use_causal_conv=False, use_conv_shortcut=False, codebook_size=2048,
                  target_bandwidths=[2.2]),
    "48khz": dict(sampling_rate=48000, audio_channels=2, use_causal_conv=False,
                  norm_type="time_group_norm", normalize=True, chunk_length_s=1.0, overlap=0.01,
                  target_bandwidths=[3.0, 6.0, 12.0, 24.0]),
}


def write_wav(path, x, rate):
    data = x.T.contiguous().numpy().astype("<f4").tobytes()
    n = x.shape[0]
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, n,
                       rate, rate * 4 * n, 4 * n, 32, b"data", len(data))
    path.write_bytes(head + data)


def read_wav(path, channels):
    raw = path.read_bytes()
    at = raw.index(b"data")
    size = struct.unpack_from("<I", raw, at + 4)[0]
    return np.frombuffer(raw[at + 8: at + 8 + size], "<f4").reshape(-1, channels)


def resonant(*args):
    subprocess.run([RESONANT, *map(str, args)], check=True, stdout=subprocess.DEVNULL)


def frames_equal(a, b):
    return 100 * (a == b).all(dim=1).float().mean().item()


def compare(name, model, exact, x, folder, bandwidth):
    """`exact`: the peer's codes in double, of all codebooks."""
    codes, _, audio = make.run(model, x, bandwidth)
    exact = exact[:, : codes.shape[1]]
    made, out = folder / "codes.safetensors", folder / "out.wav"
    resonant("codec", "encode", folder / "bundle", folder / "in.wav", "--out", made, "--bandwidth",
             bandwidth)
    ours = load_file(made)["codes"].reshape(codes.shape)
    resonant("codec", "decode", folder / "bundle", made, "--out", out, "--float")
    worst = np.abs(read_wav(out, x.shape[0]) - audio.numpy()).max()
    print(f"| {name} | {bandwidth:g} | {codes.shape[1]} | {codes.shape[0] * codes.shape[2]} | "
          f"{frames_equal(ours, codes):.2f} | {frames_equal(ours, exact):.2f} | "
          f"{frames_equal(codes, exact):.2f} | {100 * (ours == codes).float().mean():.3f} | "
          f"{worst:.1e} |", flush=True)


@torch.no_grad()
def round_trip(name, model, x, folder):
    resonant("export", folder / "bundle", "--format", "hf", "--out", folder / "back")
    back = EncodecModel.from_pretrained(folder / "back").eval()
    largest = model.config.target_bandwidths[-1]
    a, _, y = make.run(model, x, largest)
    b, _, z = make.run(back, x, largest)
    print(f"{name}: from_pretrained of the export: {100 * (a == b).float().mean():.3f} % of codes "
          f"equal, sound within {(y - z).abs().max():.1e}", flush=True)


def main():
    top = Path(sys.argv[1] if len(sys.argv) > 1 else "out/encodec-parity")
    torch.set_num_threads(2)
    for seed, (name, fields) in enumerate(SHAPES.items()):
        folder = top / name
        folder.mkdir(parents=True, exist_ok=True)
        model = make.random_model(name, EncodecConfig(**fields), 7 + seed)
        make.write_model(name, model, folder / "model")
        resonant("import", "encodec", folder / "model", "--out", folder / "bundle")
        c = model.config
        make.CASES["full"] = int(SECONDS * c.sampling_rate)
        x = make.sound("full", c.audio_channels, c.sampling_rate)
        write_wav(folder / "in.wav", x, c.sampling_rate)
        exact, _, _ = make.run(copy.deepcopy(model).double(), x, c.target_bandwidths[-1])
        for bandwidth in c.target_bandwidths:
            compare(name, model, exact, x, folder, bandwidth)
        round_trip(name, model, x, folder)


if __name__ == "__main__":
    main()
