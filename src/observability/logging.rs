//! Structured logging to standard output: one JSON line per record, with run, environment, step and attempt as fields.

use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object per line: what the operator writes.
    #[default]
    Json,
    /// For a terminal: what the demo writes.
    Text,
}

/// Installs the process-wide subscriber. `filter` is the syntax of `RUST_LOG`; the environment variable wins. A second
/// call changes nothing: tests of one process share the first.
pub fn init(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stdout)
            .try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    };
    // Already installed by an earlier call.
    drop(done);
}
