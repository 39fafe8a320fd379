//! What every room stands on: errors, time, ids, durable files.

pub mod error;
pub mod text;

pub use error::{Error, Kind, Result};
