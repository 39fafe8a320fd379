//! What this process asks of the system for itself: memory and open files.

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

/// Raises the limit of open files as far as it goes: parts that wait to be synced are open.
pub fn open_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
