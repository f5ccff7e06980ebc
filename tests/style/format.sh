#!/usr/bin/env bash
# Every source is as clang-format leaves it, and opens with a comment that says what it is; so does
# every script.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
mapfile -t sources < <(find src kernels datasets eval train tests -regextype posix-extended \
    -regex '.*\.(c|h|cu|cuh|cpp)' | sort)
hits=$(clang-format --dry-run -Werror "${sources[@]}" 2>&1 | grep 'error:' | cut -d: -f1 | sort |
    uniq -c | sed 's/$/: lines that clang-format would change/' || true)
if [ -n "$hits" ]; then echo "$hits" && bad=1; fi
mapfile -t tables < <(find src kernels datasets eval train tests -name '*.inc' -o -name '*.def' | sort)
for file in "${sources[@]}" "${tables[@]}"; do
    if [ "$(head -c 2 "$file")" != "/*" ]; then echo "$file: does not open with a comment" && bad=1; fi
done
mapfile -t scripts < <(find .ci experiments tests -name '*.sh' -o -name '*.py' -o -path .ci/run | sort)
for file in "${scripts[@]}"; do
    if ! sed -n '1,2p' "$file" | grep -qE '^(# [^!]|""")'; then
        echo "$file: does not open with a comment" && bad=1
    fi
done
exit $bad
