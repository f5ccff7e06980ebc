#!/usr/bin/env bash
# Words that must not stand in the sources: unbounded string functions anywhere, exiting, aborting
# and printing in the libraries, opening files past base/fs, backends and instruction sets above the
# kernels, paths that exist on one machine only, and marks of unfinished work.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0

# Code without comments and texts, "file:line:code" for grep.
code() {
    awk '
    FNR == 1 { inside = 0 }
    {
        line = $0
        gsub(/\\"/, "", line); gsub(/"[^"]*"/, "\"\"", line)
        if (inside) { if (sub(/^.*\*\//, "", line)) inside = 0; else next }
        gsub(/\/\*[^*]*(\*[^\/][^*]*)*\*\//, "", line); sub(/\/\/.*/, "", line)
        if (sub(/\/\*.*/, "", line)) inside = 1
        print FILENAME ":" FNR ":" line
    }' "$@"
}

forbid() { # WHAT REGEX, from stdin
    local hits
    hits=$(grep -E "$2" || true)
    if [ -n "$hits" ]; then echo "$hits" | sed "s|\$|    <- $1|" && bad=1; fi
}

mapfile -t everything < <(find src kernels datasets eval train tests -name '*.[ch]' -o -name '*.inc')
mapfile -t library < <(find src kernels datasets eval train \( -name '*.[ch]' -o -name '*.inc' \) -not -path 'src/cli/*')
mapfile -t above_kernels < <(find src datasets eval train -name '*.[ch]' -not -path 'src/cli/*')
mapfile -t above_fs < <(find src kernels datasets eval train -name '*.[ch]' -not -name 'fs_*.c')

code "${everything[@]}" >/tmp/rg-words.$$
trap 'rm -f /tmp/rg-words.$$' EXIT
forbid "unbounded" '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok)\(' </tmp/rg-words.$$
code "${library[@]}" >/tmp/rg-words.$$
forbid "the library never exits" '\b(exit|_exit|abort|quick_exit)\(' </tmp/rg-words.$$
forbid "the library never prints" '\b(printf|puts|putchar|perror|fprintf|fputs|vprintf)\(' </tmp/rg-words.$$
forbid "numbers by clock or chance" '\b(rand|srand|random|drand48|arc4random)\(' </tmp/rg-words.$$
code "${above_fs[@]}" >/tmp/rg-words.$$
forbid "files are opened through base/fs" '[^_a-zA-Z.>](fopen|open|creat|openat)\(' </tmp/rg-words.$$
code "${above_kernels[@]}" >/tmp/rg-words.$$
forbid "backends and levels are chosen in kernels/" '# *(if|ifdef|ifndef|elif).*(AVX|AMX|SSE|CUDA|GPU)' </tmp/rg-words.$$

hits=$(git grep -nIE '(^|[^A-Za-z0-9_.$}])/(home|root|work|Users|mnt)/[A-Za-z0-9]' -- . ':!tests/style/words.sh' || true)
if [ -n "$hits" ]; then echo "$hits" | sed 's/$/    <- a path of one machine/' && bad=1; fi
hits=$(git grep -nIwE 'TODO|FIXME|XXX|HACK|TBD|not implemented' -- . ':!tests/style/words.sh' || true)
if [ -n "$hits" ]; then echo "$hits" | sed 's/$/    <- unfinished/' && bad=1; fi
exit $bad
