//! Media facts and samples, made by FFmpeg in a child process of the same binary.
//!
//! FFmpeg parses bytes from strangers, so the daemon never calls it: [`worker::Worker`] asks a child
//! that runs [`child::serve`], which calls [`probe::probe`]. A crash or a hang costs one answer.

pub mod boxes;
pub mod child;
pub mod confine;
pub mod digits;
mod encode;
pub mod facts;
mod ff;
pub mod probe;
pub mod sample;
pub mod sidecar;
#[cfg(test)]
mod tests;
pub mod worker;

pub use facts::{Audio, MediaFacts, Probed, Verdict, Video};
pub use worker::Worker;
