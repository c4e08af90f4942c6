//! The real devices behind the roles of `site`, over their real protocols. Drivers read, write effects once, and never
//! sleep for long, write status or touch Kubernetes (`architecture.md` § 6).

pub mod ibmi;
pub mod transport;
