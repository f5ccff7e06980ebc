#!/usr/bin/env bash
# The bars of the code: lines and complexity of functions, lines of files, width, share of comments.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
mapfile -t sources < <(find src kernels datasets eval train tests -name '*.c' -o -name '*.cpp' | sort)

mapfile -t all < <(find src kernels datasets eval train tests -regextype posix-extended \
    -regex '.*\.(c|h|inc|cu|cuh|cpp)' | sort)
pmccabe "${sources[@]}" 2>/dev/null | awk '
{
    limit = $6 ~ /^kernels\// ? 150 : 100
    if ($5 > limit) { print $6 " " $7 ": " $5 " lines, over " limit; bad = 1 }
    if ($2 > 25) { print $6 " " $7 ": complexity " $2 ", over 25"; bad = 1 }
}
END { exit bad }' || bad=1

at() { awk -v share="$1" '{ v[NR] = $1 } END { i = int(share * NR); print v[i < 1 ? 1 : i] }'; }
lines=$(pmccabe "${sources[@]}" 2>/dev/null | awk '{ print $5 }' | sort -n)
complexity=$(pmccabe "${sources[@]}" 2>/dev/null | awk '{ print $2 }' | sort -n)
median=$(at 0.5 <<<"$lines") p90=$(at 0.9 <<<"$lines") c90=$(at 0.9 <<<"$complexity")
echo "$(wc -l <<<"$lines") functions: median $median lines, 90 % within $p90, longest" \
    "$(tail -1 <<<"$lines"); complexity 90 % within $c90, highest $(tail -1 <<<"$complexity")"
if [ "$median" -gt 20 ]; then echo "the median is over 20 lines" && bad=1; fi
if [ "$p90" -gt 50 ]; then echo "over 10 % of the functions have over 50 lines" && bad=1; fi
if [ "$c90" -gt 10 ]; then echo "over 10 % of the functions have a complexity over 10" && bad=1; fi

for file in "${all[@]}"; do
    n=$(wc -l <"$file")
    if [ "$n" -gt 600 ]; then echo "$file: $n lines, over 600" && bad=1; fi
done
if LC_ALL=C.UTF-8 grep -nE '.{101,}' "${all[@]}" /dev/null | sed 's/:\([0-9]*\):.*/:\1: over 100 columns/' | grep .; then
    bad=1
fi
exit $bad
