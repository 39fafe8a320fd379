//! What is on a docked card: profile, walk, naming, times, takes. Pure but for the walk.

pub mod naming;
pub mod plan;
pub mod profile;
mod root;
pub mod take;
pub mod times;
pub mod walk;
