# What experiments with many codecs share: options, training with resume, two jobs at a time. Sourced.
#
#   . experiments/codecs.sh
#
# One idea: a codec is a name; its run, log and report lie under $out by that name, and what has a report
# is not done again. The script that sources it sets `title` first and defines `job WORD...`, which calls
# train_codec, and `seeds_default`.
resonant=${RESONANT:-build/resonant}

# A path as the caller of the script meant it: the script has changed to the repository's root.
path() { case "$1" in /*) realpath -m "$1" ;; *) realpath -m "$OLDPWD/$1" ;; esac; }

fail() { echo "$title: $*" >&2; exit 1; }

# --store DIR --out DIR --seeds "1 2" --short, as the script's own header describes them.
codec_options() {
    store="" out="" seeds="" short=0
    while [ $# -gt 0 ]; do
        case "$1" in
        --store) store=$(path "${2:?--store needs a folder}"); shift ;;
        --out) out=$(path "${2:?--out needs a folder}"); shift ;;
        --seeds) seeds="${2:?--seeds needs numbers}"; shift ;;
        --short) short=1 ;;
        -h | --help) sed -n '2,/^set /p' "experiments/$title/run.sh" | sed -n 's/^# \{0,1\}//p'; exit 0 ;;
        *) echo "$title: unknown option '$1'; see --help" >&2; exit 2 ;;
        esac
        shift
    done
    store=${store:-out/quickstart/store}
    [ -n "$seeds" ] || { [ $short = 1 ] && seeds=1 || seeds=$seeds_default; }
    [ -n "$out" ] || { [ $short = 1 ] && out=out/$title-short || out=out/$title; }
    [ -x "$resonant" ] || fail "$resonant is missing; build it: cmake -G Ninja -S . -B build && ninja -C build resonant"
    [ -e "$store/index.jsonl" ] || fail "$store is no stem store; name one with --store, or run experiments/quickstart/run.sh first"
    mkdir -p "$out/logs" "$out/reports"
}

newest() { ls -d "$out/runs/$1"-*Z-* 2>/dev/null | sort | tail -n 1; }

# train_codec NAME CONFIG STEPS [key=value...]: trains on one thread and measures the end ("${measured[@]}").
train_codec() {
    local name=$1 config=configs/codec/$2.yaml steps=$3 every=$(($3 / 3)) log=$out/logs/$1.log resume=()
    shift 3
    [ ! -e "$out/reports/$name/metrics.json" ] || return 0
    [ -z "$(newest "$name")" ] || resume=(--resume)
    {
        "$resonant" train "$config" "name=$name" "steps=$steps" "store=$store" "runs=$out/runs" threads=1 pin=false \
            "validate_every=$every" "checkpoint_every=$every" keep_checkpoints=1 "$@" "${resume[@]}" &&
            "$resonant" eval "$(newest "$name")" --data "$store" --threads 1 "${measured[@]}" --out "$out/reports/$name"
    } >"$log" 2>&1 || { tail -n 3 "$log" >&2; return 1; }
    echo "  $name done, $((SECONDS / 60)):$(printf %02d $((SECONDS % 60)))"
}

worker() {
    local line words failed=0
    while :; do
        # The next line is taken under a lock, so that no job is done twice.
        line=$(flock "$out/jobs.lock" sh -c 'head -n 1 "$1" && sed -i 1d "$1"' - "$out/jobs") || return 1
        [ -n "$line" ] || return $failed
        read -ra words <<<"$line"
        job "${words[@]}" || failed=1
    done
}

# Runs the jobs on standard input, a line each, two at a time.
run_jobs() {
    local first second good=1
    cat >"$out/jobs"
    echo "$title: $(wc -l <"$out/jobs") codecs, two at a time$([ $short = 1 ] && echo ' (short: few steps)')"
    worker & first=$!
    worker & second=$!
    wait $first || good=0
    wait $second || good=0
    [ $good = 1 ] || fail "a codec failed; its log is in $out/logs; run again to go on"
}

took() { echo "all of it in $((SECONDS / 60)):$(printf %02d $((SECONDS % 60))), this time"; }
