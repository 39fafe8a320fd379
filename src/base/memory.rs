//! How the C library keeps memory for this process.

/// Gives large buffers back to the system when they are freed, and keeps small ones of all threads
/// together: a daemon with a thread for each dock must not grow with every docking.
pub fn stay_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets limits of the allocator; called before there are other threads.
    unsafe {
        nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, 128 << 10);
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2);
    }
}
