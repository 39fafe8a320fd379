//! docket: body-camera footage docks, and lands on the docket.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod base;
pub mod card;
pub mod media;
