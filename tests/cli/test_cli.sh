#!/usr/bin/env bash
# The command line as a person meets it: help, exit codes, one clear line per fault, nothing
# half-written, full disks, closed pipes, other locales, odd paths.
set -u
resonant=$(realpath "${RESONANT:-build/resonant}")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL: $*"; }

# expect CODE TEXT COMMAND...: exit status, and a text that standard error contains, in one line.
expect() {
    local code=$1 text=$2 got lines
    shift 2
    "$@" >stdout 2>stderr </dev/null
    got=$?
    lines=$(grep -c '^resonant: ' stderr)
    if [ $got != "$code" ]; then bad "$* exits with $got, expected $code: $(cat stderr)"; return; fi
    if ! grep -qF -- "$text" stderr; then bad "$*: '$text' is not in: $(cat stderr)"; return; fi
    if [ "$code" != 0 ] && [ "$lines" != 1 ]; then bad "$*: $lines lines of error, expected 1"; return; fi
    ok
}

# prints TEXT COMMAND...: exit status 0 and a text on standard output.
prints() {
    local text=$1
    shift
    if "$@" >stdout 2>stderr </dev/null && grep -qF -- "$text" stdout; then ok; else
        bad "$*: expected '$text'; got $(head -c 300 stdout stderr)"
    fi
}

prints "usage: resonant COMMAND" "$resonant" --help
prints "isa: ref" "$resonant" --version
prints "peak" "$resonant" devices
"$resonant" --help | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\) .*/\1/p' | sort -u >commands
[ "$(wc -l <commands)" -ge 10 ] && ok || bad "--help lists too few commands"
while read -r command; do
    # shellcheck disable=SC2086
    prints "usage: resonant" "$resonant" $command --help
done <commands

# ---- wrong usage: exit 2, one line, advice ----
expect 2 "did you mean 'train'" "$resonant" trian
expect 2 "needs a sub-command" "$resonant" dataset
expect 2 "usage: resonant train" "$resonant" train
expect 2 "did you mean --out" "$resonant" generate bundle --oot x
expect 2 "needs a value" "$resonant" generate bundle --out
expect 2 "--out DIR is missing" "$resonant" generate bundle
expect 2 "not a number from" "$resonant" generate bundle --out x --duration nine
expect 2 "--takes" "$resonant" generate bundle --out x --takes 17
expect 2 "is not a bundle" "$resonant" generate . --out x
expect 2 "is not a size like 800M" "$resonant" generate bundle --out x --memory much
expect 1 "cannot open" "$resonant" analyze no-such-file.wav
expect 2 "choose one" "$resonant" analyze --json --csv no-sound.txt
echo words >no-sound.txt
expect 1 "is not a sound file" "$resonant" analyze no-sound.txt
expect 2 "not UTF-8" "$resonant" prompt "$(printf '\377')"
printf 'field: genre\nwords: {gqom: {parent: nope}}\n' >orphan.yaml
expect 2 "names the parent" "$resonant" prompt gqom --vocabulary orphan.yaml
mkdir -p words no-words
printf 'field: genre\nwords: {gqom: {parent: house}}\n' >words/own.yaml
prints "gqom" "$resonant" prompt gqom --vocabulary words
expect 2 "has no vocabulary" "$resonant" prompt gqom --vocabulary no-words
prints "stands" "$resonant" prompt "120 bpm 130 bpm"
expect 2 "gemm" "$resonant" bench gemn
expect 2 "--model CONFIG" "$resonant" bench --device cuda
expect 2 "not cpu or cuda" "$resonant" bench --device tpu
expect 2 "say --processes N" "$resonant" bench dist
expect 2 "no other group" "$resonant" bench dist gemm --processes 2
expect 2 "is of" "$resonant" bench gemm --processes 2
expect 2 "not one of auto, shm" "$resonant" bench dist --rank 0 --world 2 --backend ib
prints '"efficiency"' "$resonant" bench dist --processes 2 --backend tcp --json
prints "25 passed, 0 failed" "$resonant" selftest --device cpu
expect 2 "is not auto, cpu, cuda" "$resonant" selftest --device tpu
expect 2 "is not auto, cpu, cuda" "$resonant" train c.yaml --device tpu
expect 1 "CUDA" "$resonant" train c.yaml --device cuda
expect 2 "is not auto, cpu, cuda" "$resonant" codec encode c.safetensors a.wav --out x --device tpu
expect 1 "CUDA" "$resonant" codec decode c.safetensors a.codes --out x --device cuda
expect 2 "is not fp32, fp16, bf16" "$resonant" eval run --precision fp8
expect 2 "did you mean 'debian-band-v0'" "$resonant" dataset build debian-bnad-v0 --out s
[ -e x ] || [ -e s ] && bad "a refused command left files" || ok

# ---- songs of a store ----
mkdir -p stems/a\ song
python3 - <<'PY'
import struct
data = b"".join(struct.pack("<h", (i * 37) % 9000 - 4500) for i in range(32000))
for name in "drums", "bass":
    with open(f"stems/a song/{name}.wav", "wb") as f:
        f.write(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1,
                            32000, 64000, 2, 16, b"data", len(data)) + data)
PY
prints "a-store" "$resonant" dataset import folder stems --out a-store
expect 2 "--song ID is missing" "$resonant" dataset export a-store --out song
expect 2 "--out DIR is missing" "$resonant" dataset export a-store --song folder.a-song
expect 2 "did you mean 'folder.a-song'" "$resonant" dataset export a-store --song folder.a-snog --out song
expect 2 "has no song '../../x'" "$resonant" dataset export a-store --song ../../x --out song
expect 2 "wav or flac, not 'mp3'" "$resonant" dataset export a-store --song folder.a-song --out song --format mp3
[ ! -e song ] && ok || bad "a refused export leaves a folder"
prints "song" "$resonant" dataset export a-store --song folder.a-song --out song --format flac
[ -s song/drums.flac ] && [ -s song/bass.flac ] && grep -q '"id": "folder.a-song"' song/song.json && ok || bad "the exported song lacks a file"
expect 2 "song" "$resonant" dataset export a-store --song folder.a-song --out song
prints "1 with features" "$resonant" dataset info a-store
prints "all songs are heard already" "$resonant" dataset features a-store
expect 1 "no stem store here" "$resonant" dataset features nowhere
expect 2 "--jobs" "$resonant" dataset features a-store --jobs 0
prints "a-store.html" "$resonant" dataset info a-store --html a-store.html --seed 4
grep -q '<h4>a song</h4>' a-store.html && ok || bad "the page lacks its song"
expect 1 "no-folder/x.html" "$resonant" dataset info a-store --html no-folder/x.html
expect 2 "--seed" "$resonant" dataset info a-store --html x.html --seed -1

# ---- stereo stores ----
prints "b-store" "$resonant" dataset import folder stems --out b-store --stereo keep
grep -q "every stem is mono; --stereo mean" stderr && ok || bad "a stereo store of mono stems is not remarked upon"
prints "32000 Hz stereo" "$resonant" dataset info b-store
prints '"channels": 2' "$resonant" dataset info b-store --json
prints "no fault" "$resonant" dataset verify b-store
prints "both" "$resonant" dataset export b-store --song folder.a-song --out both
[ "$(od -An -j22 -N2 -tu2 both/drums.wav)" -eq 2 ] && ok || bad "the exported stem is not stereo"
prints "b-store.html" "$resonant" dataset info b-store --html b-store.html
expect 2 "expected one of mean, left, right, error, keep" "$resonant" dataset import folder stems --out s --stereo both
expect 2 "--channels" "$resonant" dataset build frets-real --out s --channels 3

# ---- configurations: file:line:column ----
printf 'task: codec\nname: a\nstesp: 5\n' >c.yaml
expect 2 "c.yaml:3:1" "$resonant" config validate c.yaml
expect 2 "did you mean" "$resonant" config validate c.yaml
printf 'task: codex\n' >d.yaml
expect 2 "did you mean 'codec'" "$resonant" config validate d.yaml
printf 'name: x\n' >e.yaml
expect 2 "the key 'task' is missing" "$resonant" config validate e.yaml
expect 1 "absent.yaml" "$resonant" config validate absent.yaml
for config in "$root"/configs/codec/*.yaml; do
    case $config in *common*) continue ;; esac
    prints "valid" "$resonant" config validate "$config" store=s
    "$resonant" config dump "$config" store=s >dumped.yaml
    "$resonant" config dump dumped.yaml >again.yaml && cmp -s dumped.yaml again.yaml && ok || bad "$config: the dump does not load to itself"
done

# ---- standard output that cannot be written ----
if [ -e /dev/full ]; then
    "$resonant" --help >/dev/full 2>stderr
    [ $? = 1 ] && grep -q "cannot write to standard output" stderr && ok || bad "/dev/full: $(cat stderr)"
fi
{ "$resonant" prompt "dark techno" 2>stderr; echo $? >code; } | true
[ "$(cat code)" = 0 ] || [ "$(cat code)" = 1 ] && ok || bad "closed pipe: exit $(cat code)"

# ---- locale and odd paths ----
LC_ALL=de_DE.UTF-8 "$resonant" prompt --json "128.5 bpm" >stdout && grep -q '128.5' stdout && ok || bad "a German locale changes numbers"
mkdir -p 'a folder with spaces and ümläut'
cp c.yaml 'a folder with spaces and ümläut/-odd=name@1-2.yaml'
expect 2 "-odd=name@1-2.yaml:3:1" "$resonant" config validate 'a folder with spaces and ümläut/-odd=name@1-2.yaml'
expect 1 "no stem store here" "$resonant" dataset info "$(printf 'x%.0s' {1..200})"

# ---- codecs of other programs: in, to codes, back to sound, out; bad input is one line and exit 1 ----
golden=$root/tests/golden/encodec
python3 - <<'PY'
import math, struct
def wav(name, channels, rate, samples, kind=1, bits=16):
    data = b"".join(struct.pack("<f" if kind == 3 else "<h", s) for s in samples)
    size = channels * bits // 8
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, kind,
                       channels, rate, rate * size, size, bits, b"data", len(data))
    open(name, "wb").write(head + data)
tone = [math.sin(i / 9) for i in range(4801)]
wav("tone.wav", 1, 24000, [int(9000 * s) for s in tone])
wav("empty.wav", 1, 24000, [])
wav("eight.wav", 8, 24000, [int(9000 * s) for s in tone[:4800]])
wav("fast.wav", 1, 192000, [int(9000 * s) for s in tone])
wav("loud.wav", 2, 24000, [3 * s for s in tone[:4800]], 3, 32)
wav("nan.wav", 1, 24000, tone[:100] + [math.nan], 3, 32)
PY
for shape in 24khz 32khz 48khz; do
    prints "$shape.bundle" "$resonant" import encodec "$golden/$shape" --out $shape.bundle --role mix
    for sound in tone fast loud; do
        prints "$sound.codes" "$resonant" codec encode $shape.bundle:mix $sound.wav --out $sound.codes
        prints "$sound.out.wav" "$resonant" codec decode $shape.bundle $sound.codes --out $sound.out.wav --float
    done
    prints "$shape.hf" "$resonant" export $shape.bundle --format hf --out $shape.hf
    [ -s $shape.hf/config.json ] && [ -s $shape.hf/preprocessor_config.json ] && ok || bad "$shape.hf lacks a file"
    for sound in empty eight nan; do
        expect 1 "$sound.wav" "$resonant" codec encode $shape.bundle $sound.wav --out bad.codes
        [ ! -e bad.codes ] && ok || bad "$sound.wav leaves a file"
    done
done
prints "few.codes" "$resonant" codec encode 24khz.bundle tone.wav --out few.codes --codebooks 3
prints "all.codes" "$resonant" codec encode 24khz.bundle tone.wav --out all.codes
prints "few.wav" "$resonant" codec decode 24khz.bundle few.codes --out few.wav
prints "low.codes" "$resonant" codec encode 24khz.bundle tone.wav --out low.codes --bandwidth 1.2
[ "$(wc -c <low.codes)" -lt "$(wc -c <all.codes)" ] && ok || bad "1.2 kbit/s are no fewer bytes than all"
expect 2 "0.6, 1.2, 2.4, 4.8, 9.6 kbit/s" "$resonant" codec encode 24khz.bundle tone.wav --out x --bandwidth 5
expect 2 "is not a whole number from 1 to 32" "$resonant" codec encode 24khz.bundle tone.wav --out x --codebooks 33
expect 2 "not both" "$resonant" codec encode 24khz.bundle tone.wav --out x --codebooks 2 --bandwidth 1.2
expect 2 "has no role 'bass'" "$resonant" codec encode 24khz.bundle:bass tone.wav --out x
expect 1 "decode them with the codec that made them" "$resonant" codec decode 32khz.bundle few.codes --out x.wav
expect 2 "not 'onnx'" "$resonant" export 24khz.bundle --format onnx --out x
expect 2 "a bundle with tracks" "$resonant" generate 24khz.bundle --out x
mkdir broken
head -c 30000 "$golden/24khz/model.safetensors" >broken/model.safetensors
cp "$golden/24khz/config.json" broken
expect 1 "broken/model.safetensors" "$resonant" import encodec broken --out x
cp "$golden/24khz/model.safetensors" broken
cp "$golden/48khz/config.json" broken
expect 1 "more)" "$resonant" import encodec broken --out x
[ ! -e x ] && [ ! -e x.wav ] && ok || bad "a refused command leaves a file"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
