#!/usr/bin/env bash
# apt-install.sh LIST...: installs the Debian packages that the lists name and that are missing.
set -euo pipefail
missing=()
for package in $(cat "$@"); do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "these Debian packages are missing; install them as root: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
progress() { # counts on a terminal, is silent elsewhere
    if [ -t 1 ]; then
        awk -v log_file="$log" '{ print >> log_file; fflush(log_file) }
            /^Setting up / { printf "\r   %d packages set up", ++n; fflush() }
            END { if (n) print "" }'
    else
        cat >>"$log"
    fi
}
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } 2>&1 | progress; then
    tail -20 "$log" >&2
    echo "apt-get did not install them; look at the lines above (is a Debian 12 mirror configured in /etc/apt?)" >&2
    exit 1
fi
