//! What is plugged in: docks, and the cards that stand in them.

pub mod folder;
