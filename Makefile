# What a developer types. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Build results live outside the checkout: `git clean` costs nothing, and every checkout shares them.
cache := $(HOME)/.cache/ibmi-clone-operator
export CARGO_TARGET_DIR ?= $(cache)/target
# kube-apiserver, kube-controller-manager, etcd, kubectl and Helm, built by `make kube`.
export IBMICLONE_KUBE_BINARIES ?= $(cache)/kube

.PHONY: help build test lint kube control-plane kube-if-go demo bench bench-schedule bench-logs bench-embedded crds

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

build: ## the program, optimised
	cargo build --release --locked
	@echo "built $$CARGO_TARGET_DIR/release/ibmi-clone"

# Twice as many tests at once as processors: most of them wait for a server or a scaled clock.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: kube-if-go ## everything that must pass, with a real Kubernetes API when Go is installed
	cargo test --locked

lint: ## formatting, clippy without warnings, one TLS library
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	.ci/one-tls-library
	@if command -v gofmt >/dev/null; then \
	    unformatted=$$(gofmt -l tools); \
	    [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted" >&2; exit 1; }; \
	fi

kube: control-plane ## kube-apiserver, etcd, kube-controller-manager, kubectl and Helm from source (9 minutes once, needs Go)
	tools/helm/build.sh "$$IBMICLONE_KUBE_BINARIES"
	tools/kubectl-1.32/build.sh "$$IBMICLONE_KUBE_BINARIES"

control-plane:
	tools/kube/build.sh "$$IBMICLONE_KUBE_BINARIES"

# Status 3 of the scripts: no Go. Where CI=true is set the tests that need it then fail instead of being skipped.
kube-if-go:
	@for tool in kube helm kubectl-1.32; do \
	    tools/$$tool/build.sh "$$IBMICLONE_KUBE_BINARIES" || { \
	        status=$$?; \
	        [ $$status -eq 3 ] || exit $$status; \
	        echo "without Go the tests with a real Kubernetes API and Helm are skipped, unless an older build is there" >&2; \
	        break; \
	    }; \
	done

# A debug build: from nothing it is ready sooner than an optimised one, after `make test` at once, and simulated
# devices need no speed.
demo: ## the four functions at work on simulated devices; KEEP=1 leaves it running
	cargo run --locked -- demo $(if $(KEEP),--keep)

bench: ## what the operator adds to the freeze and to a run (20 minutes)
	cargo bench --locked --bench operator

bench-schedule: ## lateness of the schedule beside the CronJob controller's, and 40 runs at once (30 minutes)
	cargo bench --locked --bench schedule

bench-logs: ## memory of the operator while 1 GiB of job log passes through a run (a few minutes)
	cargo bench --locked --bench logs

bench-embedded: ## speed and memory of the embedded API beside kube-apiserver with etcd (10 minutes)
	cargo bench --locked --bench embedded

crds: ## writes crds/ and the chart's copy anew from the source
	cargo run --locked --quiet -- crd --output crds
	cp crds/*.yaml charts/ibmi-clone-operator/files/crds/
