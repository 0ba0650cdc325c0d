#!/usr/bin/env bash
# Puts the servers that `writ-bench run authzen` asks beside Writ among the build artefacts: PostgreSQL from Debian's packages,
# Cerbos from npm's. Both are asked for by name; what is there already is not fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."

peers="${CARGO_TARGET_DIR:-target}/bench/peers"
mkdir -p "$peers"
peers="$(cd "$peers" && pwd)"
# Exact, so that figures of two runs are about the same program.
cerbos=0.55.0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
install() {
    echo "installing: $*" >&2
    "${as_root[@]}" apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "$@" >&2
}

# The newest version that is installed, by its folder of programs.
postgresql() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | while read -r bin; do [ ! -x "$bin/initdb" ] || echo "$bin"; done | tail -n 1; }
[ -n "$(postgresql)" ] || install postgresql
ln -sfn "$(postgresql)" "$peers/postgresql"

if [ "$("$peers/cerbos" --version 2>/dev/null | head -n 1)" != "$cerbos" ]; then
    command -v npm >/dev/null 2>&1 || install npm
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (cd "$folder" && npm pack --silent "@cerbos/cerbos-linux-x64@$cerbos" >/dev/null && tar -xzf ./*.tgz)
    mv "$folder/package/cerbos-linux-x64" "$peers/cerbos"
fi

echo "PostgreSQL: $("$peers/postgresql/postgres" --version)"
echo "Cerbos: $("$peers/cerbos" --version | head -n 1)"
