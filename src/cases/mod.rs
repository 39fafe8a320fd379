//! Cases: what footage must be there, what was linked, and why not where it is not.

pub mod by_itself;
pub mod case;
pub mod checklist;
pub mod classify;
pub mod columns;
pub mod exempt;
pub mod export;
pub mod field;
pub mod holes;
pub mod import;
pub mod ledger;
pub mod link;
pub mod registers;
pub mod rules;
pub mod search;
mod step;
pub mod suggest;
pub mod table;
pub mod terms;
mod text;
pub mod waive;
