#!/usr/bin/env bash
# Moves this module to another Kubernetes version: rewrites the replace list from that version's own go.mod.
#
#   update.sh v1.36.3 v3.6.8        (Kubernetes, etcd; the etcd version is the one in Kubernetes' go.mod)
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: $0 KUBERNETES-VERSION ETCD-VERSION" >&2; exit 2; }
cd "$(dirname "$0")"
kubernetes=$1 etcd=$2
staging=v0.${kubernetes#v1.}

upstream=$(go mod download -json "k8s.io/kubernetes@$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
for module in $(sed -n 's|^[[:space:]]*\(k8s\.io/[^ ]*\) => \./staging/.*|\1|p' "$upstream"); do
    go mod edit -replace="$module=$module@$staging"
done
go mod edit -require="k8s.io/kubernetes@$kubernetes" -require="go.etcd.io/etcd/server/v3@$etcd"
go mod tidy
go mod verify
