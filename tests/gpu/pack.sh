#!/usr/bin/env bash
# Packs what tests/gpu/accept.sh needs on a machine that has neither the oracle nor the benchmarks' data nor Rust: the oracle's
# checkpoint, the data of a few tasks, the CPU's answers and the official tools', prompts for other programs.
#
#   SEKISHO=target/release/sekisho tests/gpu/pack.sh OUT       writes the folder OUT, and the same as OUT.tar.xz
#
# SEKISHO_TEST_DATA names the folder with real benchmark data (default ../shared/data); the oracle lies beside it. Takes a minute on two
# cores, and Python 3.11 or newer.
set -euo pipefail

usage() {
    echo "usage: SEKISHO=PATH $0 OUT" >&2
    exit 2
}

[ $# -eq 1 ] || usage
case $1 in -*) usage ;; esac
here=$(cd "$(dirname "$0")" && pwd)
data=${SEKISHO_TEST_DATA:-$here/../../../shared/data}
sekisho=$(realpath -e "${SEKISHO:-$here/../../target/release/sekisho}")
out=$1

if [ -e "$out" ]; then
    echo "$out is there already; remove it, or name another folder" >&2
    exit 1
fi
# The folder appears when it is complete: half of a pack would look like one.
mkdir -p "$(dirname "$out")"
making=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$making"' EXIT
chmod 755 "$making"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/pack.py" --sekisho "$sekisho" --oracle "$data/../oracle" --data "$data" --out "$making"
mv "$making" "$out"

# The same inputs make the same bytes.
tar --create --directory "$out" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX . |
    xz --threads=1 -6 >"$out.tar.xz"
echo "$out: $(du --summarize --bytes "$out" | cut -f1) bytes; $out.tar.xz: $(stat --format=%s "$out.tar.xz") bytes" >&2
