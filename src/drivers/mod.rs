//! The real devices behind the roles of `site`, over their real protocols. Drivers read, write effects once, and never
//! sleep for long, write status or touch Kubernetes (`architecture.md` § 6).

pub mod hmc;
pub mod ibmi;
pub mod npiv;
pub mod open;
pub mod storage;
pub mod transport;
pub mod vios;

/// Folder of recorded device answers for parser tests, beside the checkout or at `IBMICLONE_CAPTURES`; `None` = not
/// there, and said so: the test skips visibly.
#[cfg(test)]
pub(crate) fn captures(folder: &str) -> Option<std::path::PathBuf> {
    let root = std::env::var_os("IBMICLONE_CAPTURES").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"),
        std::path::PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no recorded answers at {}", path.display());
    None
}
