#!/usr/bin/env bash
# Sourced by every set-up: install_packages NAME PACKAGE... installs Debian packages, as root or by sudo, or says in one line
# why it cannot. NAME is the script that asks.

install_packages() {
    local name=$1 sudo=()
    shift
    if ! command -v apt-get >/dev/null; then
        echo "$name: this system has no apt-get; install by hand what these Debian packages hold: $*" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "$name: run as root, or install sudo; missing: $*" >&2
            return 1
        fi
        sudo=(sudo)
    fi
    echo "$name: installing $*"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
