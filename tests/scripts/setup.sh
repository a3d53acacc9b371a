#!/usr/bin/env bash
# setup.sh PYTHON FOLDER GROUP...: a virtual environment with those groups of packages in it.
# Says in one plain sentence what is missing on this machine, and stops.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1 folder=$2
shift 2

stop() {
    echo "$1" >&2
    exit 1
}

command -v cargo >/dev/null || stop "Rust is missing: install the stable toolchain (1.95 or newer), then call make again."
command -v cc >/dev/null || stop "A C linker is missing: install gcc (Debian: apt install gcc), then call make again."
command -v "$python" >/dev/null || stop "$python is missing: install Python 3.11 or newer, or name another one with PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$("$python" --version) is too old: rgrad needs 3.11 or newer; name another one with PYTHON=..."

if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c 'import pip' 2>/dev/null; then
    echo "== virtual environment in $folder"
    rm -rf "$folder"
    if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
        # Debian keeps venv and ensurepip in packages of their own.
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        bash tests/scripts/apt.sh "python$version-venv" || true
        rm -rf "$folder"
        "$python" -m venv "$folder" >/dev/null 2>&1 ||
            stop "This Python cannot make virtual environments: install python$version-venv, then call make again."
    fi
fi

mapfile -t packages < <("$folder/bin/python" tests/scripts/packages.py "$@")
echo "== Python packages ($*)"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" ||
    stop "Python packages could not be installed: is a package index reachable?"
