#!/usr/bin/env bash
# Accepts a build on a machine with an NVIDIA GPU, piece by piece; docs/gpu.md says what each piece shows and how long it takes.
#
#   tests/gpu/accept.sh PIECE… --binary PATH --pack DIR --out DIR [--device cuda:0] [--kernels PATH] [--scratch DIR] [--commit HASH]
#
# PIECE: parity, determinism, sanitize, kernels, suite, train, optimizer. Needs Python 3.11 or newer, for all from kernels on PyTorch; no Rust. The same
# command goes on where the last one stopped. The table comes last, on stdout and in DIR/table.md.
#
# Exit: 0 everything passed or was skipped, 1 something failed, 2 usage, 3 there was no time for everything: call it again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${SEKISHO_ACCEPT_PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "$python is no Python 3.11 or newer; name another one in SEKISHO_ACCEPT_PYTHON" >&2
    exit 2
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$here/accept.py" "$@"
