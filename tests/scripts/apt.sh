#!/usr/bin/env bash
# apt.sh PACKAGE...: installs Debian packages where that is possible without asking; fails otherwise.
set -euo pipefail
command -v apt-get >/dev/null || exit 1
if [ "$(id -u)" = 0 ]; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    exit 1
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 </dev/null
}
echo "== apt-get install $*" >&2
install "$@" || { "${as_root[@]}" apt-get update >/dev/null 2>&1 </dev/null && install "$@"; }
