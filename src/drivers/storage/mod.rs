//! Arrays behind the role `CopyServices`.

pub mod spectrum_virtualize;
