//! The append-only log of who did what to what.

pub mod entry;
pub mod log;

pub use entry::Entry;
