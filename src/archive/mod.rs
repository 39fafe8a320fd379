//! Archive volumes: where originals lie, and the papers beside them.

pub mod layout;
pub mod manifest;
pub mod read_back;
pub mod volume;
