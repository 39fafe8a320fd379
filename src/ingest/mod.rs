//! From a docked card to archived recordings.

pub mod aftercare;
pub mod blocks;
pub mod checkpoints;
pub mod copy;
pub mod digests;
pub mod docking;
pub mod finish;
pub mod finisher;
pub mod place;
pub mod plan;
pub mod progress;
pub mod recover;
pub mod replicate;
pub mod resume;
pub mod station;
pub mod stay;
pub mod takes;
