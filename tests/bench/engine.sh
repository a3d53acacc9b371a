#!/usr/bin/env bash
# Instructions that one graph node costs: to record, to walk back over, to release.
#
# Each kind of work runs with two sizes; the difference leaves out what is done once.
#   engine record N     records N nodes and ends without giving them back (std::process::exit)
#   engine traverse N   the same, then walks back over them with the graph retained, and ends so
#   engine release N    records N nodes, drops the last handle, then ends
# What a recording costs is taken off the other two here.
set -euo pipefail
cd "$(dirname "$0")/../.."
small=${SMALL:-10000} large=${LARGE:-60000}

if ! command -v valgrind >/dev/null; then
    echo "valgrind is missing: install it, then call 'make engine' again."
    exit 1
fi

# The baseline processor: valgrind knows no AVX-512. --bench builds one program of Cargo.toml.
built=$(cargo build --locked --profile "${PROFILE:-fast}" --no-default-features --bench engine \
    --message-format json)
engine=$(printf '%s\n' "$built" | sed -n 's/.*"name":"engine".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
if [ -z "$engine" ]; then
    echo "cargo built no program named engine: is there a [[bench]] of that name in Cargo.toml?"
    exit 1
fi

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

count() {
    valgrind --tool=callgrind --callgrind-out-file="$folder/out" "$engine" "$1" "$2" \
        >/dev/null 2>"$folder/log" || { tail -n 5 "$folder/log" >&2; exit 1; }
    sed -n 's/^\(summary\|totals\): *\([0-9]*\).*/\2/p' "$folder/out" | head -n 1
}

per_node() {
    local few many
    few=$(count "$1" "$small")
    many=$(count "$1" "$large")
    echo $(((many - few) / (large - small)))
}

record=$(per_node record)
traverse=$(per_node traverse)
release=$(per_node release)
echo "instructions per node, from $small and $large nodes ($(valgrind --version)):"
printf '  record    %6d   (gate: 350)\n' "$record"
printf '  traverse  %6d\n' "$((traverse - record))"
printf '  release   %6d\n' "$((release - record))"
if [ "$record" -gt 350 ]; then
    echo "Recording is over its gate."
    exit 1
fi
