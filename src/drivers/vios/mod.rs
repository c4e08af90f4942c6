//! VIOS
pub mod lsdev;
pub mod lsmap;
pub mod unique_id;
