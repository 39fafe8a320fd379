//! Cases: what footage must be there, what was linked, and why not where it is not.
pub mod columns;
pub mod export;
pub mod field;
pub mod import;
pub mod ledger;
pub mod registers;
pub mod table;
pub mod terms;
