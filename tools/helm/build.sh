#!/usr/bin/env bash
# Builds Helm into a directory, the one that holds the control plane of tools/kube.
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

stamp=$({ cat go.mod go.sum build.sh; "$go" version; } | sha256sum | cut -d' ' -f1)
if [ -x "$out/helm" ] && [ "$(cat "$out/helm.stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "$out/helm is up to date"
    exit 0
fi

version=$(sed -n 's|^[[:space:]]*helm.sh/helm/v4 \(v[0-9.]*\).*|\1|p' go.mod)
echo "building Helm $version into $out (minutes, the first time)"
export CGO_ENABLED=0
started=$SECONDS
rm -f "$out/helm.stamp"
# Built beside its place and moved there, so that a Helm that runs and a second build are undisturbed.
"$go" build -trimpath -buildvcs=false -o "$out/helm.$$" \
    -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$version" helm.sh/helm/v4/cmd/helm
mv -f "$out/helm.$$" "$out/helm"
echo "$stamp" >"$out/helm.stamp"
echo "built in $((SECONDS - started)) s"
