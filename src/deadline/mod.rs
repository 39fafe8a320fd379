//! The two clocks of article 28: finished footage is archived within 24 hours, a case file is
//! complete within 30 days. The rule is pure; the watch evaluates it as facts change and time passes.

pub mod evaluate;
mod judge;
pub mod rule;
pub mod shadow;
pub mod stage;
pub mod tidings;
mod touched;
pub mod watch;
