//! Real programs.

/// Ids of what they are asked to do.
pub fn ids() -> Vec<String> {
    Vec::new()
}
