#!/usr/bin/env bash
# The quickstart: from nothing to music and a report, in one command, on a Debian 12 machine.
#
#   bash experiments/quickstart/run.sh [--short] [--out DIR] [--packages DIR]
#
# Stages that are done are not done again: run it again after a stop and it goes on.
# --short takes every stage with few steps (for tests): it shows that all works, not that it learns.
set -euo pipefail

short=0 out="" packages=""
while [ $# -gt 0 ]; do
    case "$1" in
    --short) short=1 ;;
    --out) out="${2:?--out needs a folder}"; shift ;;
    --packages) packages="${2:?--packages needs a folder}"; shift ;;
    -h | --help) sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "quickstart: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
    shift
done
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$root"
[ -n "$out" ] || { [ $short = 1 ] && out=out/quickstart-short || out=out/quickstart; }

needed=(gcc cmake ninja-build pkg-config libhdf5-dev libsndfile1-dev libsoxr-dev libfftw3-dev
    libyaml-dev libjansson-dev libebur128-dev libxxhash-dev libssl-dev libpng-dev zlib1g-dev check
    libfluidsynth3 ca-certificates)
roles=(drums bass harmony melody)
prompt="dark techno with driving bassline, 128 bpm, A minor"

if [ $short = 1 ]; then
    songs=16 minutes=0.5 rate=24000 seconds=4 need_mib=1500
    codec_set=(steps=60 validate_every=30 checkpoint_every=30 keep_checkpoints=1)
    track_steps=(40 20 20)
    track_set=(validate_every=20 checkpoint_every=20 keep_checkpoints=1 validation.windows=8)
    plan=(10 90 20 5 30 10 60 5 10 10 60)
else
    songs=121 minutes=1.25 rate=24000 seconds=8 need_mib=5600
    codec_set=(sample_every=400) track_steps=() track_set=()
    plan=(60 20 110 5 230 60 750 5 10 10 150)
fi

# ---- what it will take, and whether this machine can ----------------------------------------------

fail() { echo "quickstart: $*" >&2; exit 1; }

missing=()
for p in "${needed[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ -e /etc/debian_version ] || fail "this is not Debian; install by hand: ${needed[*]}; then build with: cmake -G Ninja -S . -B build && ninja -C build"
grep -qw avx2 /proc/cpuinfo || fail "this CPU has no AVX2; training on it would take hours; see README for RG_ISA=ref"
free_mib=$(($(df -Pk "$root" | awk 'NR==2{print $4}') / 1024))
[ "$free_mib" -ge "$need_mib" ] || fail "the disk of $root has $free_mib MiB free; $need_mib MiB are needed"
total=0
for s in "${plan[@]}"; do total=$((total + s)); done
cat <<TXT
ResonantGen quickstart$([ $short = 1 ] && echo ' (short: every stage, few steps)')
  packages   ${#missing[@]} to install${missing[*]:+: ${missing[*]}}
  download   about 25 MB of songs and a SoundFont (Debian packages; no game is installed)
  disk       about $((need_mib / 2)) MiB below $out ($free_mib MiB free)
  time       about $(((total + 59) / 60)) minutes on 2 cores with AVX-512, longer on less
TXT
if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install >/dev/null
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive $install >/dev/null
    else
        fail "packages are missing and this is not root; run: sudo apt-get update && sudo $install"
    fi
fi

# ---- stages ---------------------------------------------------------------------------------------

mkdir -p "$out/stages" "$out/logs"
started=$SECONDS stage=0 stages=${#plan[@]}
times="$out/stages/seconds.tsv"

# run_stage NAME COMMAND...: skipped when its stamp is there; its seconds are kept.
run_stage() {
    local name=$1 began=$SECONDS left=0
    shift
    stage=$((stage + 1))
    for ((i = stage - 1; i < stages; i++)); do left=$((left + plan[i])); done
    if [ -e "$out/stages/$name" ]; then
        echo "stage $stage/$stages  $name: done before"
        return
    fi
    echo "stage $stage/$stages  $name  (about $((left / 60)):$(printf %02d $((left % 60))) left in all)"
    "$@" || fail "stage '$name' failed; its log is in $out/logs; run again to go on"
    printf '%s\t%s\n' "$name" $((SECONDS - began)) >>"$times"
    touch "$out/stages/$name"
}

resonant=build/resonant

build() {
    cmake -G Ninja -S . -B build >"$out/logs/build.log" 2>&1 &&
        ninja -C build resonant >>"$out/logs/build.log" 2>&1 || { tail -n 20 "$out/logs/build.log"; return 1; }
}

dataset() {
    "$resonant" dataset build debian-band-v0 --out "$out/store" --songs $songs --minutes $minutes \
        --rate $rate --jobs 2 ${packages:+--packages "$packages"} 2>&1 | tee "$out/logs/dataset.log" >&2
    "$resonant" dataset info "$out/store"
}

verify() { "$resonant" dataset verify "$out/store"; }

newest() { ls -d "$out/runs/$1"-*Z-* 2>/dev/null | sort | tail -n 1; }

# train NAME CONFIG [key=value...]: starts a run, or goes on with it.
train() {
    local name=$1 config=$2 resume=()
    shift 2
    [ -n "$(newest "$name")" ] && resume=(--resume)
    "$resonant" train "$config" "name=$name" "runs=$out/runs" "$@" "${resume[@]}" >"$out/logs/$name.log" 2>&1 ||
        { tail -n 5 "$out/logs/$name.log" >&2; return 1; }
}

codec() {
    train "codec-$1" "configs/codec/quickstart-$1.yaml" "store=$out/store" threads=1 "first_cpu=$2" "${codec_set[@]}"
}

# watch NAME...: while runs are trained, says every half minute where they are, and names the first
# decoded sound as soon as there is one.
watch() {
    local name wav heard="$out/stages/first-sound"
    while sleep 10; do
        for name in "$@"; do
            wav=$(find "$out/runs" -path "*/$name-*/samples/*" -name '*-decoded.wav' 2>/dev/null | sort | head -n 1)
            if [ ! -e "$heard" ] && [ -n "$wav" ]; then
                touch "$heard"
                echo "  $(((SECONDS - started) / 60)):$(printf %02d $(((SECONDS - started) % 60)))  first sound: $wav"
            fi
            [ $((SECONDS / 10 % 3)) = 0 ] && grep '^step .* loss' "$out/logs/$name.log" 2>/dev/null | tail -n 1 | sed "s/^/  $name  /"
        done
    done
}

# Two codecs at a time, one core each.
codecs() {
    local pair a b
    for pair in "drums bass" "harmony melody"; do
        read -r a b <<<"$pair"
        watch "codec-$a" "codec-$b" &
        local watching=$! good=1
        codec "$a" 0 &
        local pid=$!
        codec "$b" 1 || good=0
        wait $pid || good=0
        kill $watching 2>/dev/null
        [ $good = 1 ] || return 1
    done
}

codec_runs() {
    for r in "${roles[@]}"; do echo "roles.$r.codec=$(newest "codec-$r")"; done
}

tokens() {
    mapfile -t c < <(codec_runs)
    "$resonant" tokens build configs/tracks/quickstart-phase1.yaml "store=$out/store" "${c[@]}" 2>&1 |
        tee "$out/logs/tokens.log" >&2
}

tracks() {
    mapfile -t c < <(codec_runs)
    local phase init=()
    for phase in 1 2 3; do
        local steps=()
        [ ${#track_steps[@]} -gt 0 ] && steps=("steps=${track_steps[phase - 1]}")
        echo "  phase $phase"
        watch "tracks-phase$phase" &
        local watching=$! good=1
        train "tracks-phase$phase" "configs/tracks/quickstart-phase$phase.yaml" "store=$out/store" \
            "${c[@]}" "${init[@]}" "${steps[@]}" "${track_set[@]}" || good=0
        kill $watching 2>/dev/null
        [ $good = 1 ] || return 1
        init=("init=$(newest "tracks-phase$phase")")
    done
}

evaluate() {
    "$resonant" eval "$(newest tracks-phase3)" --data "$out/store" --split test --out "$out/report" 2>&1 |
        tee "$out/logs/eval.log" >&2
}

export_bundle() { "$resonant" export "$(newest tracks-phase3)" --out "$out/bundle" 2>"$out/logs/export.log"; }

generate() {
    "$resonant" generate "$out/bundle" --prompt "$prompt" --duration $seconds --seed 1 --out "$out/scene-1" \
        2>&1 | tee "$out/logs/generate-1.log"
}

generate_locked() {
    "$resonant" generate "$out/bundle" --prompt "$prompt" --seed 2 --lock "drums=$out/scene-1/drums.wav" \
        --out "$out/scene-2" 2>&1 | tee "$out/logs/generate-2.log"
}

run_stage install true
run_stage build build
run_stage dataset dataset
run_stage verify verify
run_stage codecs codecs
run_stage tokens tokens
run_stage tracks tracks
run_stage export export_bundle
run_stage generate generate
run_stage generate-locked generate_locked
run_stage evaluate evaluate

cat <<TXT

done in $(((SECONDS - started) / 60)):$(printf %02d $(((SECONDS - started) % 60)))
  report           $out/report/index.html
  music            $out/scene-1/mix.wav   ("$prompt")
  drums locked     $out/scene-2/mix.wav
  bundle           $out/bundle
  seconds a stage  $times
TXT
