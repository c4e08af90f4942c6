//! Where the embedded server is. The only place that knows how it is started.

/// Base URL and token of an embedded server. Until the product can start one, one that runs already:
/// `IBMICLONE_CONFORMANCE_URL` and `IBMICLONE_CONFORMANCE_TOKEN`. Nothing = the comparison is not made.
pub async fn embedded_server() -> Option<(String, String)> {
    let base = std::env::var("IBMICLONE_CONFORMANCE_URL").ok()?;
    let token = std::env::var("IBMICLONE_CONFORMANCE_TOKEN").unwrap_or_default();
    Some((base, token))
}
