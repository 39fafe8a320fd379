//! docket: body-camera footage docks, and lands on the docket.
//!
//! Rooms, from the ground up; each may use only those above it (`tests/house.rs` enforces it):
//! `base` (errors, time, durable files) → `access` (who may do what) → `custody` (the append-only
//! log) → `catalog` (the only SQL) → `dock` (what is plugged in) → `card` (what is on it) → `archive`
//! (volumes, manifests, checks) → `media` (FFmpeg in a child process) → `ingest` (from card to
//! archive) → `cases` (registers, cases and their footage) → `alert` (who is told of what) →
//! `deadline` (what is due when) → `app` (the daemon) → `cli`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod access;
pub mod alert;
pub mod app;
pub mod archive;
pub mod base;
pub mod card;
pub mod cases;
pub mod catalog;
pub mod cli;
pub mod custody;
pub mod deadline;
pub mod dock;
pub mod ingest;
pub mod media;
