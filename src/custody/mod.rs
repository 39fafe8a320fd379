//! The append-only log of who did what to what: its hash chain, its Merkle tree, its signed checkpoints.

pub mod checkpoint;
pub mod entry;
pub mod key;
pub mod log;
pub mod merkle;
pub mod note;
pub mod prove;
pub mod tiles;
mod told;
pub mod verify;
mod walk;

pub use entry::Entry;
