# shellcheck shell=bash
# Building, running and counting test programs: sourced by tests/run.sh and .ci/run.
#
# One idea: every result is one line in a file, "pass|fail|skip NAME", so that programs may run side
# by side and the sum is made once at the end. A test that cannot run prints "SKIP name: why" at the
# start of a line; it is a failure unless tests/allowed_skips.txt names it.
# Not here: what is run.

harness_begin() { # FOLDER for logs
    export HARNESS_LOGS=$1
    rm -rf "$HARNESS_LOGS"
    mkdir -p "$HARNESS_LOGS"
    export HARNESS_RESULTS=$HARNESS_LOGS/results
    : >"$HARNESS_RESULTS"
}

record() { # pass|fail|skip NAME
    echo "$1 $2" >>"$HARNESS_RESULTS"
}

# build_tree FOLDER TARGETS CMAKE-OPTIONS...: configures and builds; TARGETS "" are all. One result.
build_tree() {
    local folder=$1 targets=$2 start status=0
    shift 2
    start=$(date +%s)
    mkdir -p "$folder"
    # shellcheck disable=SC2086
    { cmake -G Ninja -S . -B "$folder" "$@" &&
        timeout --kill-after=10 3000 ninja -C "$folder" $targets; } >"$folder/build.log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        echo "the build of $folder failed (status $status); the end of $folder/build.log:"
        { grep -E -A12 'error:|FAILED|CMake Error' "$folder/build.log" || cat "$folder/build.log"; } | tail -40
        record fail "build $folder"
        return 1
    fi
    echo "built $folder in $(($(date +%s) - start)) s"
    record pass "build $folder"
}

# Lines "SKIP name: why" of a log; each is allowed or a failure.
record_skips() { # LOG LABEL
    local line name
    { grep '^SKIP ' "$1" || true; } | while IFS= read -r line; do
        name=${line#SKIP }
        name=${name%%:*}
        if grep -v '^#' tests/allowed_skips.txt | cut -d: -f1 | grep -qxF "$name"; then
            record skip "$name"
        else
            record fail "$2: skipped without leave: $line"
        fi
    done
}

# run_logged LABEL SECONDS COMMAND...: one result, or as many as Check reports.
run_logged() {
    local label=$1 limit=$2 log status=0 start checks failures skips
    shift 2
    log=$HARNESS_LOGS/$(echo "$label" | tr '/ =' '___').log
    start=$(date +%s)
    timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 </dev/null || status=$?
    record_skips "$log" "$label"
    # Check's sum: "100%: Checks: 7, Failures: 0, Errors: 0"
    checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\),.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    failures=$(sed -n 's/^[0-9]*%: .*Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2/p' "$log" |
        awk '{n += $1 + $2} END {print n + 0}')
    if [ "$checks" -eq 0 ]; then checks=1 failures=$((status != 0)); fi
    if [ "$status" -ne 0 ] && [ "$failures" -eq 0 ]; then failures=1; fi
    skips=$(grep -c '^SKIP ' "$log" || true)
    for ((i = 0; i < checks - failures - skips; i++)); do record pass "$label"; done
    for ((i = 0; i < failures; i++)); do record fail "$label"; done
    if [ "$failures" -ne 0 ]; then
        echo "FAILED $label (status $status, $(($(date +%s) - start)) s); the end of $log:"
        { grep -v '^Running suite' "$log" || true; } | tail -25 | sed 's/^/    /'
        return 0
    fi
    echo "ok     $label ($checks, $(($(date +%s) - start)) s)"
}

# run_parallel JOBS: lines "LABEL SECONDS COMMAND" from stdin, JOBS at a time.
run_parallel() {
    export -f run_logged record record_skips
    xargs -P "$1" -d '\n' -I{} bash -c 'set -euo pipefail; run_logged {}'
}

# "area/name program" of the tests of a build folder whose names begin with a REGEX; one that was not
# built runs "false".
programs() { # FOLDER REGEX
    ctest --test-dir "$1" --show-only=json-v1 | python3 -c '
import json, shlex, sys
for test in json.load(sys.stdin)["tests"]:
    properties = {p["name"]: p["value"] for p in test.get("properties", [])}
    environment = properties.get("ENVIRONMENT", [])
    command = (["env", *environment] if environment else []) + test.get("command", ["false"])
    print(test["name"], shlex.join(command))' | { grep -E "^($2)" || true; }
}

# The build targets of those tests.
targets() { # REGEX
    local path name
    for path in tests/*/test_*.c tests/fuzz/fuzz_*.c; do
        name=${path#tests/}
        name=${name%.c}
        if ! [[ $name =~ ^($1) ]]; then continue; fi
        name=${name##*/}
        echo "${name/#fuzz_/replay_fuzz_}"
    done
}

# The last line of a run, and its exit status.
harness_end() {
    local passed failed skipped
    passed=$(grep -c '^pass ' "$HARNESS_RESULTS" || true)
    failed=$(grep -c '^fail ' "$HARNESS_RESULTS" || true)
    skipped=$(grep -c '^skip ' "$HARNESS_RESULTS" || true)
    { grep '^fail ' "$HARNESS_RESULTS" || true; } | sort | uniq -c | sed 's/ fail / failed: /'
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# The instruction-set levels of this CPU, lowest first, from what lscpu shows.
isa_levels() {
    local flags
    flags=" $(lscpu | sed -n 's/^Flags: *//p') "
    has() { for f in "$@"; do [[ $flags == *" $f "* ]] || return 1; done; }
    echo ref
    if has avx2 fma f16c; then echo avx2; fi
    if has avx512f avx512bw avx512dq avx512vl; then echo avx512; fi
    if has avx512f avx512_bf16; then echo avx512bf16; fi
    if has avx512_bf16 amx_tile amx_bf16; then echo amx; fi
}
