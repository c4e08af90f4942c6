# syntax=docker/dockerfile:1
# The operator in an image that holds one static program and nothing to start it with: no shell, no package manager.
#
#   docker build -t YOUR-REGISTRY/ibmi-clone-operator:0.1.0 .

# Alpine's target is static by default (musl). OpenSSL, for libssh2, is built from source: make, perl and Linux headers.
FROM rust:1.92-alpine AS build
RUN apk add --no-cache build-base perl linux-headers ca-certificates
WORKDIR /build
# Shown by the metric ibmiclone_build_info: --build-arg IBMICLONE_REVISION=$(git rev-parse HEAD)
ARG IBMICLONE_REVISION
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin ibmi-clone \
    && cp target/release/ibmi-clone /ibmi-clone

FROM scratch
# For devices whose certificate a public authority signed; others name a CA bundle in the environment.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /ibmi-clone /ibmi-clone
# As the chart says it. A number: without /etc/passwd the kubelet cannot see that a name is not root.
USER 65532:65532
ENTRYPOINT ["/ibmi-clone"]
CMD ["operator"]
