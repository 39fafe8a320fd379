//! Cases: what footage must be there, what was linked, and why not where it is not.
