#!/usr/bin/env bash
# Make sure that a container engine answers and that it holds the Dockerfile's base image: install Debian's docker.io and
# start its daemon where none runs, and build the base with debootstrap where no registry is in reach.
# Needs root and Debian or Ubuntu, unless there is nothing to do. The daemon stays; `kill $(cat /var/run/docker.pid)` ends it.
set -euo pipefail

base=debian:bookworm-slim
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() {
    echo "engine: $1" >&2
    tail -n 20 "$log" >&2
    exit 1
}

quietly() {
    "$@" >"$log" 2>&1 </dev/null || fail "failed: $*"
}

install() {
    local package missing=()
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    quietly apt-get update
    DEBIAN_FRONTEND=noninteractive quietly apt-get install -y --no-install-recommends "${missing[@]}"
}

start_daemon() {
    [ "$(id -u)" -eq 0 ] || fail "no engine answers \`docker info\`, and only root can start one"
    command -v dockerd >/dev/null || install docker.io iptables ca-certificates
    local daemon_log attempt
    daemon_log=$(mktemp -t dockerd.XXXXXX.log)
    setsid dockerd >"$daemon_log" 2>&1 </dev/null &
    local daemon=$!
    for attempt in $(seq 60); do
        docker info >/dev/null 2>&1 && return
        kill -0 "$daemon" 2>/dev/null || break
        sleep 1
    done
    cp "$daemon_log" "$log"
    fail "dockerd did not come up within $attempt s; the end of its log:"
}

# The host's own apt configuration says where packages come from; a host of another release takes debootstrap's default.
make_base() {
    [ "$(id -u)" -eq 0 ] || fail "$base can be neither pulled nor, without root, made"
    install debootstrap debian-archive-keyring ca-certificates
    quietly apt-get update
    local root sources mirror proxy=""
    sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | grep -E '^deb [^ ]+ bookworm' || true)
    mirror=$(echo "$sources" | awk '$3 == "bookworm" { print $2; exit }')
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    root=$(mktemp -d)
    http_proxy=${proxy:-${http_proxy:-}} quietly debootstrap --variant=minbase --include=ca-certificates bookworm "$root" ${mirror:+"$mirror"}
    [ -z "$sources" ] || echo "$sources" >"$root/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$root/etc/apt/apt.conf.d/90host" || true
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
    tar -C "$root" -cf "$root.tar" .
    quietly docker import --change 'CMD ["bash"]' "$root.tar" "$base"
    rm -rf "$root" "$root.tar"
}

docker info >/dev/null 2>&1 || start_daemon
docker image inspect "$base" >/dev/null 2>&1 || timeout 300 docker pull "$base" >/dev/null 2>&1 || make_base
