//! Where originals lie: volumes, their layout and manifests, reading back and checking.

pub mod fsck;
pub mod layout;
pub mod manifest;
pub mod read_back;
pub mod rebuild;
pub mod volume;
pub mod witness;
