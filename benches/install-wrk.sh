#!/bin/sh
# Finds wrk, or installs it where that needs no question; otherwise says what to install.
# Debian's package is the one the committed results were made with.
set -u

command -v wrk >/dev/null 2>&1 && exit 0

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        as_root="none"
    fi
    if [ "$as_root" != none ]; then
        $as_root apt-get update -qq && $as_root apt-get install -y -qq wrk >/dev/null && exit 0
    fi
fi

echo "make bench needs wrk and could not install it here." >&2
echo "Debian, Ubuntu: apt-get install wrk    Fedora: dnf install wrk    macOS: brew install wrk" >&2
exit 2
