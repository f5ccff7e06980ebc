#!/usr/bin/env bash
# Runs every command of README.md as a reader would, on what the short quickstart made. The two
# commands that .ci/run itself runs (the quickstart and the tests) are only checked to be named.
#
#   bash tests/cli/readme.sh [QUICKSTART-FOLDER]     default: out/quickstart-short
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
made=${1:-out/quickstart-short}
passed=0 failed=0 log=$(mktemp)
[ -d "$made/bundle" ] || { echo "$made/bundle is missing: run experiments/quickstart/run.sh --short first"; exit 1; }
rm -rf "$made"/[a-g] "$made"/bass.codes "$made"/bass.wav "$made"/encodec "$made"/encodec-hf "$made"/live "$made"/imported "$made"/stereo "$made"/song "$made"/store.html

for own in "bash experiments/quickstart/run.sh" "bash tests/run.sh"; do
    if grep -qxF "$own" README.md; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL: README.md lacks '$own'"; fi
done
while IFS= read -r command; do
    case $command in "bash experiments/quickstart/run.sh" | "bash tests/run.sh" | "") continue ;; esac
    command=${command//out\/quickstart\//$made/}
    if bash -c "$command" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $command"
        tail -n 5 "$log" | sed 's/^/    /'
    fi
done < <(awk '/^```sh$/{inside=1; next} /^```$/{inside=0} inside' README.md)
rm -f "$log"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
