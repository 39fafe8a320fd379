//! Cases: what footage must be there, what was linked, and why not where it is not.

pub mod case;
pub mod checklist;
pub mod classify;
pub mod exempt;
pub mod holes;
pub mod link;
pub mod rules;
pub mod search;
pub mod suggest;
mod text;
