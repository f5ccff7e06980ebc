#!/usr/bin/env python3
"""Makes the small EnCodec models of random weights in this folder, and what transformers makes of
some sounds with them: codes in float and double, and decoded audio.

    python make.py            (needs torch, transformers, safetensors; overwrites the folder's files)

Three shapes with few filters and entries but all layers of the published ones: 24 kHz (causal,
weight norm, shortcuts; names as on the hub), 32 kHz (not causal, identity skips; inside a MusicGen,
names of parametrizations), 48 kHz stereo (group norm, chunks, loudness; names of encodec itself).
manifest.json says which versions made them and holds each file's SHA-256.
"""
import copy
import hashlib
import json
import platform
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import EncodecConfig, EncodecModel

HERE = Path(__file__).parent
SMALL = dict(num_filters=2, hidden_size=8, codebook_dim=8)
SHAPES = {
    "24khz": dict(SMALL, codebook_size=16, target_bandwidths=[0.6, 1.2, 2.4, 4.8, 9.6]),
    "32khz": dict(SMALL, sampling_rate=32000, upsampling_ratios=[8, 5, 4, 4], use_causal_conv=False,
                  use_conv_shortcut=False, codebook_size=32, target_bandwidths=[1.0]),
    # compress 1: torch refuses to normalize the one number that a channel of one sample is
    "48khz": dict(SMALL, compress=1, sampling_rate=1600, audio_channels=2, use_causal_conv=False,
                  norm_type="time_group_norm", normalize=True, chunk_length_s=1.0, overlap=0.01,
                  codebook_size=16, target_bandwidths=[0.04, 0.08, 0.16, 0.32]),
}
# length of each sound; all bandwidths are decoded for "odd"
CASES = {"one": 1, "two": 2, "hundred": 100, "odd": 2357, "long": 8001, "over": 1585,
         "silence": 701, "loud": 1203}


def random_model(name, config, seed):
    """Random weights, and codebooks as wide as what they have to code."""
    torch.manual_seed(seed)
    model = EncodecModel(config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if key.endswith("original0"):  # g: as large as v, and then some
                v = dict(model.named_parameters())[key[:-1] + "1"]
                p.copy_(v.norm(dim=(1, 2), keepdim=True) * (0.7 + 1.2 * torch.rand_like(p)))
            elif ".norm.weight" in key:
                p.copy_(0.5 + torch.rand_like(p))
            elif "bias" in key:
                p.copy_(0.1 * torch.randn_like(p))
        x = 0.3 * torch.randn(1, config.audio_channels, 4 * config.hop_length)
        residual = model.encoder(x)
        spread, middle = residual.std(), residual.mean(dim=(0, 2))
        for q, layer in enumerate(model.quantizer.layers):
            book = layer.codebook
            book.embed.copy_(spread * 0.75 ** q * torch.randn_like(book.embed))
            if q == 0:
                book.embed.add_(middle)
            book.cluster_size.copy_(1 + torch.rand_like(book.cluster_size))
            book.embed_avg.copy_(book.embed * book.cluster_size[:, None])
    return model


def sound(case, channels, rate):
    n = CASES[case]
    t = torch.arange(n, dtype=torch.float32) / rate
    noise = torch.randn(channels, n) * 0.05
    tone = torch.stack([torch.sin(2 * torch.pi * (97 + 31 * c) * t) for c in range(channels)])
    scale = {"silence": 0.0, "loud": 4.0}.get(case, 0.6)
    return scale * (tone * torch.linspace(1, 0.2, n) + noise)


@torch.no_grad()
def run(model, x, bandwidth):
    """codes (chunks, books, frames), scales (chunks), audio (n, channels)."""
    values = x[None].to(next(model.parameters()).dtype)
    made = model.encode(values, bandwidth=bandwidth)
    codes = made.audio_codes[:, 0].to(torch.int32)
    scales = [torch.ones(1) if s is None else s.reshape(1).float() for s in made.audio_scales]
    audio = model.decode(made.audio_codes, made.audio_scales,
                         last_frame_pad_length=made.last_frame_pad_length).audio_values
    return codes.contiguous(), torch.cat(scales), audio[0].T[: x.shape[1]].float().contiguous()


def hub_name(name):
    return name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v")


def own_name(name, transposed):
    """As in the encodec repository: model.N.conv.conv.X, convtr.convtr for transposed layers."""
    name = hub_name(name)
    if name.startswith("quantizer."):
        return name.replace("quantizer.layers", "quantizer.vq.layers").replace("codebook", "_codebook")
    name = name.replace(".layers.", ".model.")
    conv = "convtr" if transposed else "conv"
    return name.replace(".conv.", f".{conv}.{conv}.").replace(".norm.", f".{conv}.norm.")


def write_model(name, model, folder):
    folder.mkdir(exist_ok=True)
    modules = dict(model.named_modules())
    kind = transformers.models.encodec.modeling_encodec.EncodecConvTranspose1d
    tensors = {}
    for key, value in model.state_dict().items():
        layer = modules.get(".".join(key.split(".")[:3]))
        if name == "24khz":
            key = hub_name(key)
        elif name == "32khz":
            key = "audio_encoder." + key
        else:
            key = own_name(key, isinstance(layer, kind))
        tensors[key] = value.contiguous()
    config = model.config.to_dict()
    if name == "32khz":
        tensors["decoder.model.decoder.embed_tokens.0.weight"] = torch.zeros(3, 2)
        tensors["text_encoder.shared.weight"] = torch.zeros(3, 2)
        tensors["enc_to_dec_proj.weight"] = torch.zeros(2, 2)
        config = {"model_type": "musicgen", "audio_encoder": config}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def write_golden(model, path):
    config, double = model.config, copy.deepcopy(model).double()
    tensors = {}
    for case in CASES:
        x = sound(case, config.audio_channels, config.sampling_rate)
        largest = config.target_bandwidths[-1]
        codes, scales, _ = run(model, x, largest)
        tensors[f"{case}.x"] = x.T.contiguous()
        tensors[f"{case}.codes"] = codes
        tensors[f"{case}.codes64"] = run(double, x, largest)[0]
        tensors[f"{case}.scale"] = scales
        for bandwidth in config.target_bandwidths if case == "odd" else [largest]:
            made, _, audio = run(double, x, bandwidth)
            tensors[f"{case}.audio.{made.shape[1]}"] = audio
    save_file(tensors, path)


def main():
    torch.set_num_threads(1)
    for seed, (name, fields) in enumerate(SHAPES.items()):
        model = random_model(name, EncodecConfig(**fields), 100 + seed)
        write_model(name, model, HERE / name)
        write_golden(model, HERE / name / "golden.safetensors")
    files = sorted(p for n in SHAPES for p in (HERE / n).iterdir())
    manifest = {
        "made by": "tests/golden/encodec/make.py",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "sha256": {str(p.relative_to(HERE)): hashlib.sha256(p.read_bytes()).hexdigest()
                   for p in files},
    }
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(sum(p.stat().st_size for p in files), "bytes in", len(files), "files")


if __name__ == "__main__":
    sys.exit(main())
