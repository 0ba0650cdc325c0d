#!/usr/bin/env bash
# Installs the system packages that the build and the tests need and this machine lacks, by name, with apt.
# Sourced by demo.sh and test.sh; quick where nothing is missing.
set -euo pipefail

missing=()
have() { command -v "$1" >/dev/null 2>&1; }
have c++ || missing+=(build-essential)
have curl || missing+=(curl)
# RocksDB's bindings are generated with libclang at build time.
if ! ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1; then
    missing+=(libclang-dev)
fi
# The generator also wants clang's own headers (stddef.h and its like).
if ! ls -d /usr/lib/llvm-*/lib/clang/*/include /usr/lib/clang/*/include >/dev/null 2>&1; then
    missing+=(clang)
fi
# The second verifier (tests/verifier) is Python; its tests make an environment for it, which takes venv and pip.
have python3 || missing+=(python3)
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
# What the tests break nodes with: networks of their own, wrong clocks, disks whose power is cut. The demo breaks nothing.
if [ "${WRIT_SETUP_FAULTS:-}" = 1 ]; then
    have ip || missing+=(iproute2)
    have mkfs.ext4 || missing+=(e2fsprogs)
    have losetup || missing+=(mount)
    ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing+=(libfaketime)
fi
# A stock Go program opens checkpoints (tests/outside), without a network: modules come from Debian too.
have go || missing+=(golang-go)
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/note ] || missing+=(golang-golang-x-mod-dev)
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}" >&2
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${missing[@]}" >&2
fi
if ! have cargo; then
    echo "error: cargo is not on the PATH" >&2
    echo "hint: install Rust 1.89 or later, for example with rustup" >&2
    exit 1
fi
