//! What every room stands on: errors, time, ids, durable files, Chinese.

mod beneath;
pub mod cancel;
pub mod clock;
pub mod config;
pub mod direct_io;
pub mod durable_fs;
pub mod error;
pub mod failpoint;
pub mod ids;
pub mod logging;
pub mod meter;
pub mod process;
pub mod segment;
pub mod text;
pub mod when;
pub mod zh;

pub use cancel::Cancel;
pub use error::{Error, Kind, Result};
