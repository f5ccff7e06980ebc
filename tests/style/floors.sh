#!/usr/bin/env bash
# A file includes only from its own floor or lower ones (the order of the house, from the ground).
set -euo pipefail
cd "$(dirname "$0")/../.."
find src kernels datasets eval train -name '*.[chi]*' -type f | xargs grep -n '^ *# *include "' | awk '
BEGIN {
    n = split("src/base|kernels|src/engine src/ops src/dist|src/nn src/audio|src/models src/music|" \
              "datasets src/generate|eval|train|src/serve|src/cli", floors, "|")
    for (f = 1; f <= n; f++) {
        m = split(floors[f], folders, " ")
        for (i = 1; i <= m; i++) floor[folders[i]] = f
    }
}
function floor_of(path,   parts) {
    split(path, parts, "/")
    if (parts[1] == "src") return floor[parts[1] "/" parts[2]]
    if ("src/" parts[1] in floor) return floor["src/" parts[1]]
    return floor[parts[1]]
}
{
    split($0, parts, ":")
    file = parts[1]
    match($0, /"[^"]*"/)
    target = substr($0, RSTART + 1, RLENGTH - 2)
    if (target !~ /\//) next # beside the file
    from = floor_of(file)
    to = floor_of(target)
    if (!to) { print file ":" parts[2] ": \"" target "\" is on no floor"; bad = 1 }
    else if (!from) { print file ": is on no floor"; bad = 1 }
    else if (to > from) { print file ":" parts[2] ": includes \"" target "\" from a higher floor"; bad = 1 }
}
END { exit bad }'
