//! The binary: parse, call, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything may open TLS: without a provider the HTTP client panics instead of failing. The only error is
    // that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ibmi_clone_operator::commands::main(std::env::args_os())
}
