#!/usr/bin/env bash
# Installs what the tests need, then checks everything: format, lints, Rust tests, browser tests.
# One build profile (release) serves the lints, the tests and the demo.
#
#   tests/run.sh            everything
#   tests/run.sh NAME       only the tests whose name contains NAME, after a build
#
# SEKISHO_TEST_DATA names the folder with real benchmark data (default ../shared/data); tests that need it say
# "skipped: …" where it is missing, and the number of such lines is printed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
export SEKISHO_TEST_DATA=${SEKISHO_TEST_DATA:-$PWD/../shared/data}
tools=${SEKISHO_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/sekisho-tests}
export SEKISHO_TEST_PYTHON=${SEKISHO_TEST_PYTHON:-$tools/venv/bin/python}
export SEKISHO_TEST_NVRTC=${SEKISHO_TEST_NVRTC:-$tools/nvrtc-12.0/nvidia/cuda_nvrtc/lib:$tools/nvrtc-13.0/nvidia/cu13/lib}
export SEKISHO_TEST_AXE=${SEKISHO_TEST_AXE:-$tools/npm/node_modules/axe-core/axe.min.js}
log=$(mktemp)
cluster=
trap 'stop_postgres; rm -f "$log"' EXIT
began=$SECONDS

stage() { # name, command…
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf '== %s: %d min %02d s\n' "$name" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

pip_into() { # folder, package: beside each other, since both have the same names for Python
    [ -f "$1/installed" ] && return
    rm -rf "$1"
    "$SEKISHO_TEST_PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target "$1" "$2"
    touch "$1/installed"
}

install_tools() {
    local packages=()
    command -v chromium >/dev/null || packages+=(chromium)
    command -v chromedriver >/dev/null || packages+=(chromium-driver)
    # Without a Japanese font the screenshots would show boxes.
    fc-list :lang=ja 2>/dev/null | grep -q . || packages+=(fontconfig fonts-noto-cjk)
    # What is printed is read back.
    command -v pdftotext >/dev/null || packages+=(poppler-utils)
    python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
    command -v npm >/dev/null || packages+=(npm)
    [ -d /usr/lib/postgresql ] || packages+=(postgresql)
    # Tests run a Slurm of their own.
    [ -x /usr/sbin/slurmctld ] || packages+=(slurm-wlm)
    [ -x /usr/sbin/munged ] || packages+=(munge)
    if [ ${#packages[@]} -gt 0 ]; then
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    fi
    # The official Hub client, the official verifier of model signatures, the reference library of webhooks, and llama.cpp's server with what writes its weights.
    if ! "$SEKISHO_TEST_PYTHON" -c 'import gguf, huggingface_hub, model_signing, standardwebhooks, xllamacpp' 2>/dev/null; then
        python3 -m venv "$tools/venv"
        "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            'huggingface_hub==2.4.0' 'gguf==0.19.0' 'xllamacpp==2026.10.11549' 'model_signing==1.1.1' 'pyOpenSSL==26.4.0' 'standardwebhooks==1.1.0'
    fi
    # NVIDIA's compiler of kernels, the oldest that will do and a new one; it needs no GPU.
    pip_into "$tools/nvrtc-12.0" 'nvidia-cuda-nvrtc-cu12==12.0.140'
    pip_into "$tools/nvrtc-13.0" 'nvidia-cuda-nvrtc==13.0.88'
    # What finds faults of accessibility in pages. It is never part of the product.
    if [ ! -f "$SEKISHO_TEST_AXE" ]; then
        npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools/npm" 'axe-core@4.14.1'
    fi
    command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
}

# A PostgreSQL of their own, on a socket alone. What the tests kill in it is a server process, never the machine: it need not
# wait for the disk.
start_postgres() {
    local bin as=()
    bin=$(find /usr/lib/postgresql -name bin | sort -V | tail -1)
    cluster=$(mktemp -d)
    mkdir "$cluster/socket"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R postgres "$cluster"
        as=(runuser -u postgres --)
    fi
    (
        cd "$cluster"
        "${as[@]}" "$bin/initdb" --pgdata data --username sekisho --auth trust --encoding UTF8 --locale C.UTF-8 >/dev/null
        "${as[@]}" "$bin/pg_ctl" --pgdata data --wait --log log \
            --options "-k $cluster/socket -c listen_addresses= -c fsync=off -c max_connections=400" start >/dev/null
        "${as[@]}" "$bin/createdb" --host "$cluster/socket" --username sekisho sekisho
    )
    export SEKISHO_TEST_POSTGRES="postgres:///sekisho?host=$cluster/socket&user=sekisho"
}

stop_postgres() {
    [ -n "$cluster" ] || return 0
    local pid
    if pid=$(head -1 "$cluster/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null; then
        tail --pid "$pid" -f /dev/null
    fi
    rm -rf "$cluster"
}

rust_tests() { # nextest's filter
    cargo nextest run --release --workspace --no-tests=fail --success-output immediate -E "$1" 2>&1 | tee -a "$log"
}

on_postgres() { # nextest's filter
    # They wait more than they compute.
    SEKISHO_TEST_DATABASE=postgres NEXTEST_TEST_THREADS=3 rust_tests "$1"
}

stage "tools" install_tools
# From here on a missing tool is a failure and no skip.
export SEKISHO_TOOLS_INSTALLED=1
[ -n "${SEKISHO_TEST_POSTGRES:-}" ] || start_postgres
if [ $# -gt 0 ]; then
    rust_tests "test($1)"
    exit
fi
stage "format" cargo fmt --all --check
stage "lints" cargo clippy --release --workspace --all-targets --quiet -- -D warnings
stage "build" cargo build --release --workspace --all-targets --quiet
stage "tests" rust_tests 'not test(/^browser/)'
# The service again on the other database: what goes through the store, without what takes long for other reasons, and without what is
# about the file that SQLite has.
of_the_store='api|api_events|api_input|bad_input|board|bundles|checkpoint_cleanup|checkpoint_standing|ingest|launchers|pages|road|runs|uploads|webhooks|webhooks_releases'
of_releases='audit|binding|card|channel|checkpoints|corpora|export|gates|identity|links|permits|policy|proposals|publications|reviews|separation|yank'
of_the_file='a_database_of_a_newer_version|an_answer_with_a_secret_is_never_kept|no_secret_is_told_twice_or_kept'
stage "tests on PostgreSQL" on_postgres "binary(it) and test(/^($of_the_store|release_($of_releases))::/) and not test(/$of_the_file/)"
stage "browser tests" rust_tests 'test(/^browser/)'
# What judges on a GPU is itself judged without one.
stage "acceptance scripts" python3 -B -m unittest discover --start-directory tests/gpu

passed=$(sed -nE 's/.*Summary.* ([0-9]+) passed.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
skipped=$(grep -c '^ *skipped: ' "$log" || true)
printf '\nall of it: %d min %02d s\n' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60))
printf '%d passed, 0 failed, %d skipped\n' "$passed" "$skipped"
