#!/usr/bin/env bash
# Builds kube-apiserver, kube-controller-manager, etcd and kubectl into a directory.
#
#   build.sh DIR
#
# Takes minutes the first time and nothing when DIR is already up to date. Go's own caches stay where
# Go keeps them. Exit status 3: there is no Go toolchain.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

go=$(command -v go || true)
[ -n "$go" ] || go=/usr/local/go/bin/go
[ -x "$go" ] || { echo "$0: no Go toolchain found (on PATH or in /usr/local/go); see https://go.dev/doc/install" >&2; exit 3; }

# The name says what it is in a process list; users start it through the links below.
binary=kube-control-plane
stamp=$({ cat go.mod go.sum main.go build.sh; "$go" version; } | sha256sum | cut -d' ' -f1)
if [ -x "$out/$binary" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "$out is up to date"
    exit 0
fi

version=$(sed -n 's|^[[:space:]]*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' go.mod)
minor=${version#v1.}
minor=${minor%%.*}
# Without these /version reports a placeholder, and clients compare it with their own version.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=unknown"
done

echo "building Kubernetes $version into $out (minutes, the first time)"
export CGO_ENABLED=0
started=$SECONDS
rm -f "$out/stamp"
# Built beside its place and moved there, so that a running control plane and a second build are undisturbed.
"$go" build -trimpath -buildvcs=false -ldflags "$flags" -o "$out/$binary.$$" .
mv -f "$out/$binary.$$" "$out/$binary"
for name in kube-apiserver kube-controller-manager etcd kubectl; do
    ln -sfn "$binary" "$out/$name"
done
echo "$stamp" >"$out/stamp"
echo "built in $((SECONDS - started)) s"
