//! What is on a docked card: profile, walk, naming, times, takes. Pure but for the walk.
