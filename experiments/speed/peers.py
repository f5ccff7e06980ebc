"""The peers of `resonant bench`: PyTorch, transformers, encodec and librosa on the same shapes.

    peers.py GROUP      train, seanet, lstm, gan, codec, decode or features

One idea: a process prepares every variant (fp32 and bf16, eager and compiled) once, says so in one
line of JSON, then times all of them whenever it reads a line "SECONDS" and answers in one line, so
that another program can take turns with it. A variant that cannot be had is named with its reason;
one that is far slower than the best of its row is timed in the first round only.
Not here: what is compared with what (compare.py).
"""
import contextlib
import json
import math
import os
import signal
import sys
import time
import warnings

THREADS = int(os.environ.get("THREADS", "2"))
os.environ.update(OMP_NUM_THREADS=str(THREADS), MKL_NUM_THREADS=str(THREADS),
                  OMP_PROC_BIND="true", OMP_PLACES="cores")
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what libraries print goes to stderr
warnings.filterwarnings("ignore")

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(THREADS)
BF16 = torch.bfloat16
COMPILE_SECONDS = 60  # a compilation that takes longer is given up
FAR_SLOWER = 1.4


def import_torchaudio():
    """encodec imports torchaudio, which refuses a torch built for another CUDA. Nothing here uses a
    GPU, so while it is imported torch says that it was built for none."""
    cuda, torch.version.cuda = torch.version.cuda, None
    import torchaudio

    torch.version.cuda = cuda
    return torchaudio.__version__


def low(precision):
    return torch.autocast("cpu", dtype=BF16) if precision == "bf16" else contextlib.nullcontext()


# ---- workloads: name, what a call is worth, and build(precision, wrap) -> call; wrap compiles ----

ROWS = {}


def row(group, name, **worth):
    def add(build):
        ROWS.setdefault(group, []).append((name, worth, build))
        return build

    return add


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        q, k, v = self.qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        heard = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.mix(heard)
        return x + self.feed(self.before_feed(x))


@row("train", "train")
def train(precision, wrap):
    batch, steps, width, layers, words = 4, 512, 512, 4, 1024
    net = nn.Sequential(nn.Embedding(words, width), *(Layer(width, 8) for _ in range(layers)),
                        nn.LayerNorm(width), nn.Linear(width, words))
    adamw = torch.optim.AdamW(net.parameters(), 1e-4, fused=True)
    codes, targets = torch.randint(words, (2, batch, steps))
    run = wrap(net)

    def call():
        adamw.zero_grad()
        with low(precision):
            logits = run(codes)
        F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()).backward()
        adamw.step()

    return call


@row("seanet", "seanet")
def seanet(precision, wrap):
    from encodec.modules import SEANetEncoder

    net = SEANetEncoder(causal=True, norm="weight_norm", true_skip=False)
    run, x = wrap(net), torch.randn(4, 1, 24000)

    def call():
        net.zero_grad()
        with low(precision):
            y = run(x)
        y.float().square().mean().backward()

    return call


@row("lstm", "lstm")
def lstm(precision, wrap):
    net = nn.LSTM(512, 512, 2)
    run, x = wrap(net), torch.randn(75, 4, 512)

    def call():
        net.zero_grad()
        with low(precision):
            y, _ = run(x)
        y.float().square().mean().backward()

    return call


def mel_bank(rate, size, bands):
    """(bands, size/2+1) triangles, evenly spaced on the mel scale."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    hz = torch.linspace(0, rate / 2, size // 2 + 1)
    width = edges.diff().clamp(min=1e-3)
    rising = (hz - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - hz) / width[1:, None]
    return torch.minimum(rising, falling).clamp(min=0)


@row("gan", "gan")
def gan(precision, wrap):
    """A whole EnCodec step (Defossez et al. 2210.13438): the discriminator's update, then the
    generator's from l1, mel, adversarial and feature losses balanced by their gradients' norms."""
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.msstftd import MultiScaleSTFTDiscriminator
    from encodec.quantization import ResidualVectorQuantizer

    rate, batch = 24000, 4
    encoder, decoder = SEANetEncoder(causal=True), SEANetDecoder(causal=True)
    rvq = ResidualVectorQuantizer(dimension=128, n_q=8, bins=1024, kmeans_init=False)
    judge = MultiScaleSTFTDiscriminator(filters=32)
    encode, decode, listen = wrap(encoder), wrap(decoder), wrap(judge)
    makers = [*encoder.parameters(), *decoder.parameters()]
    adam_g = torch.optim.Adam(makers, 3e-4, betas=(0.5, 0.9), fused=True)
    adam_d = torch.optim.Adam(judge.parameters(), 3e-4, betas=(0.5, 0.9), fused=True)
    sizes = [2**i for i in range(6, 12)]
    tools = [(n, torch.hann_window(n), mel_bank(rate, n, 64)) for n in sizes]
    x = 0.1 * torch.randn(batch, 1, rate)

    def mels(y):
        for n, window, bank in tools:
            yield bank @ torch.stft(y.flatten(0, 1), n, n // 4, n, window, return_complex=True).abs()

    def update_judge(fake):
        with low(precision):
            on_real, on_fake = listen(x)[0], listen(fake)[0]
        loss = sum(F.relu(1 - r.float()).mean() + F.relu(1 + f.float()).mean()
                   for r, f in zip(on_real, on_fake))
        adam_d.zero_grad()
        loss.backward()
        adam_d.step()

    def losses(y):
        with low(precision):
            logits, maps = listen(y)
            with torch.no_grad():
                real_maps = listen(x)[1]
        yield 0.1, (y - x).abs().mean()
        yield 2, sum((a - b).abs().mean() + ((a + 1e-5).log10() - (b + 1e-5).log10()).square().mean()
                     for a, b in zip(mels(y), mels(x)))
        yield 4, -sum(f.float().mean() for f in logits) / len(logits)
        yield 4, sum((a.float() - b.float()).abs().mean()
                     for fake, real in zip(maps, real_maps) for a, b in zip(fake, real))

    def call():
        with low(precision):
            y = decode(rvq(encode(x), 75).quantized)[..., :rate]
        y = y.float()
        update_judge(y.detach())
        judge.requires_grad_(False)
        heard, seed = y.detach().requires_grad_(True), 0
        for weight, loss in losses(heard):
            (g,) = torch.autograd.grad(loss, heard, retain_graph=True)
            seed = seed + weight * g / (g.flatten(1).norm(dim=1).mean() + 1e-12)
        adam_g.zero_grad()
        y.backward(seed)
        adam_g.step()
        judge.requires_grad_(True)

    return call


CODECS = {
    "codec-24k": dict(),
    "codec-32k": dict(sampling_rate=32000, num_filters=64, upsampling_ratios=[8, 5, 4, 4],
                      use_causal_conv=False, use_conv_shortcut=False, codebook_size=2048,
                      target_bandwidths=[2.2]),
}
CODEC_SECONDS = 5


def codec(shape):
    from transformers import EncodecConfig, EncodecModel

    net = EncodecModel(EncodecConfig(**CODECS[shape])).eval()
    return net, torch.randn(1, 1, net.config.sampling_rate * CODEC_SECONDS)


def add_codec(shape):
    @row("codec", shape + "-encode", seconds=CODEC_SECONDS)
    def encode(precision, wrap):
        net, x = codec(shape)
        net.encoder, bandwidth = wrap(net.encoder), net.config.target_bandwidths[-1]

        @torch.no_grad()
        def call():
            with low(precision):
                net.encode(x, bandwidth=bandwidth)

        return call

    @row("codec", shape + "-decode", seconds=CODEC_SECONDS)
    def decode(precision, wrap):
        net, x = codec(shape)
        with torch.no_grad():
            coded = net.encode(x, bandwidth=net.config.target_bandwidths[-1])
        net.decoder = wrap(net.decoder)

        @torch.no_grad()
        def call():
            with low(precision):
                net.decode(coded.audio_codes, coded.audio_scales)

        return call


for codec_shape in CODECS:
    add_codec(codec_shape)

DECODE_STEPS = 100


def add_decoder(name, layers, heads, width, heard):
    @row("decode", name, steps=DECODE_STEPS)
    def decode(precision, wrap):
        from transformers import MusicgenDecoderConfig
        from transformers.models.musicgen.modeling_musicgen import MusicgenForCausalLM

        net = MusicgenForCausalLM(MusicgenDecoderConfig(
            vocab_size=2048, num_codebooks=4, num_hidden_layers=layers, num_attention_heads=heads,
            hidden_size=width, ffn_dim=4 * width, max_position_embeddings=2048)).eval()
        real = BF16 if precision == "bf16" else torch.float32
        net, context = net.to(real), torch.randn(2, heard, width, dtype=real)
        run = wrap(net, dynamic=True)  # the caches grow

        @torch.no_grad()
        def call(steps=DECODE_STEPS):
            codes, cache = torch.zeros(2 * 4, 1, dtype=torch.long), None
            for _ in range(steps):
                out = run(input_ids=codes, encoder_hidden_states=context, past_key_values=cache,
                          use_cache=True)
                cache, codes = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)

        call.warm = lambda: call(8)
        return call


add_decoder("decode-base", 6, 8, 512, 256)
add_decoder("decode-small", 24, 16, 1024, 16)

FEATURE_SECONDS = 60


@row("features", "features", seconds=FEATURE_SECONDS)
def features(precision, wrap):
    import librosa
    import numpy

    if precision != "fp32" or wrap is not plain:
        raise NotImplementedError("librosa has one precision and nothing to compile")
    rate = 22050
    t = numpy.arange(rate * FEATURE_SECONDS) / rate
    clicks = numpy.random.default_rng(0).standard_normal(len(t)) * numpy.exp(-20 * (t % 0.5))
    y = (0.3 * numpy.sin(2 * numpy.pi * 220 * t) + 0.3 * clicks).astype("float32")

    def call():
        librosa.beat.beat_track(y=y, sr=rate)
        librosa.onset.onset_strength(y=y, sr=rate)
        librosa.feature.chroma_cqt(y=y, sr=rate)
        librosa.feature.melspectrogram(y=y, sr=rate)
        librosa.feature.rms(y=y)

    return call


# ---- preparing and timing them ----


def plain(module, **_):
    return module


def compiled(module, **how):
    return torch.compile(module, **how)


MODES = {"eager": plain, "compiled": compiled}


def give_up(*_):
    raise TimeoutError("took over %d s to compile" % COMPILE_SECONDS)


def prepare(group):
    """[variant], and [{name, precision, mode, reason}] of those that cannot be had."""
    variants, refused = [], []
    signal.signal(signal.SIGALRM, give_up)
    for name, worth, build in ROWS[group]:
        for mode, wrap in MODES.items():
            for precision in ("fp32", "bf16"):
                torch.manual_seed(0)
                began = time.monotonic()
                signal.alarm(COMPILE_SECONDS if mode == "compiled" else 0)
                try:
                    call = build(precision, wrap)
                    for _ in range(2):
                        getattr(call, "warm", call)()
                except Exception as why:
                    text = (str(why).strip() or type(why).__name__).splitlines()[0][:160]
                    refused.append(dict(name=name, precision=precision, mode=mode, reason=text))
                    continue
                finally:
                    signal.alarm(0)
                variants.append(dict(name=name, precision=precision, mode=mode, worth=worth,
                                     call=call, prepared_s=time.monotonic() - began, dropped=False))
    return variants, refused


def timed(call, seconds):
    """For about so many seconds; at least three calls unless they are very long."""
    times = []
    while not times or sum(times) < seconds or (len(times) < 3 and sum(times) < 5 * seconds):
        t = time.perf_counter()
        call()
        times.append(time.perf_counter() - t)
    times.sort()
    return times[0], times[len(times) // 2]


def time_round(variants, seconds):
    rows = []
    for v in variants:
        if v["dropped"]:
            continue
        fastest, median = timed(v["call"], seconds)
        r = dict(name=v["name"], precision=v["precision"], mode=v["mode"], threads=THREADS,
                 min_ms=fastest * 1e3, median_ms=median * 1e3)
        if "steps" in v["worth"]:
            r["per_s"] = v["worth"]["steps"] / median
        if "seconds" in v["worth"]:
            r["x_real_time"] = v["worth"]["seconds"] / median
        rows.append(r)
    best = {}
    for r in rows:
        best[r["name"]] = min(r["median_ms"], best.get(r["name"], math.inf))
    for v in variants:
        mine = [r["median_ms"] for r in rows if all(r[k] == v[k] for k in ("name", "precision", "mode"))]
        v["dropped"] = v["dropped"] or not mine or mine[0] > FAR_SLOWER * best[v["name"]]
    return rows


def versions(group):
    from importlib.metadata import version

    names = {"train": ["torch"], "lstm": ["torch"], "seanet": ["torch", "encodec"],
             "gan": ["torch", "torchaudio", "encodec"], "codec": ["torch", "transformers"],
             "decode": ["torch", "transformers"], "features": ["librosa", "numpy"]}
    return {n: version(n) for n in names[group]}


def main():
    group = sys.argv[1] if len(sys.argv) == 2 else ""
    if group not in ROWS:
        sys.exit("peers: which group? one of " + " ".join(ROWS))
    if group in ("seanet", "gan"):
        import_torchaudio()
    variants, refused = prepare(group)
    say = lambda what: print(json.dumps(what), file=ANSWERS)
    say(dict(versions=versions(group), capability=torch.backends.cpu.get_cpu_capability(),
             refused=refused,
             prepared=[{k: v[k] for k in ("name", "precision", "mode", "prepared_s")} for v in variants]))
    for line in sys.stdin:
        say(dict(rows=time_round(variants, float(line))))


if __name__ == "__main__":
    main()
