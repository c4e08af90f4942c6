#!/usr/bin/env bash
# Builds kubectl 1.32 into a directory as kubectl-1.32, beside the control plane of tools/kube.
#
#   build.sh DIR
#
# Takes a minute the first time and nothing when DIR is already up to date. Go's own caches stay where
# Go keeps them. Exit status 3: there is no Go toolchain.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

go=$(command -v go || true)
[ -n "$go" ] || go=/usr/local/go/bin/go
[ -x "$go" ] || { echo "$0: no Go toolchain found (on PATH or in /usr/local/go); see https://go.dev/doc/install" >&2; exit 3; }

binary=kubectl-1.32
stamp=$({ cat go.mod go.sum main.go build.sh; "$go" version; } | sha256sum | cut -d' ' -f1)
if [ -x "$out/$binary" ] && [ "$(cat "$out/$binary.stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "$out/$binary is up to date"
    exit 0
fi

version=v1.$(sed -n 's|^[[:space:]]*k8s.io/kubectl v0\.\([0-9.]*\).*|\1|p' go.mod)
minor=${version#v1.}
minor=${minor%%.*}
# Without these it says it is a placeholder, and warns of every server.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=unknown"
done

echo "building kubectl $version into $out (a minute, the first time)"
export CGO_ENABLED=0
started=$SECONDS
rm -f "$out/$binary.stamp"
# Built beside its place and moved there, so that a kubectl that runs and a second build are undisturbed.
"$go" build -trimpath -buildvcs=false -ldflags "$flags" -o "$out/$binary.$$" .
mv -f "$out/$binary.$$" "$out/$binary"
echo "$stamp" >"$out/$binary.stamp"
echo "built in $((SECONDS - started)) s"
