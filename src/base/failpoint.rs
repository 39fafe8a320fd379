//! Crash points and injected I/O errors for the crash tests.
//!
//! With the feature `failpoints`, two environment variables rule a run:
//! `DOCKET_FAILPOINT=name:n` kills the process (SIGKILL) at the n-th pass of a named point;
//! `DOCKET_IOFAULT=op:n:ERRNO` fails the n-th call of an operation (`read`, `write`, `sync`,
//! `rename`, `any`), and with `n+` every later one too; a line on standard error tells of each, so
//! that a test knows when it has tried them all. Without the feature both are empty.

/// What kind of call an injected error may hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Reading a card or an archived file.
    Read,
    /// Creating, reserving or writing a file on a volume.
    Write,
    /// fsync, fdatasync.
    Sync,
    /// Moving a file into place.
    Rename,
}

#[cfg(not(feature = "failpoints"))]
mod imp {
    use super::Op;

    /// A named crash point; empty in this build.
    #[inline(always)]
    pub fn hit(_name: &str) {}

    /// A place where an I/O error may be injected; never in this build.
    #[inline(always)]
    pub fn io(_op: Op) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "failpoints")]
mod imp {
    use super::Op;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    static POINT: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

    struct Fault {
        op: String,
        left: AtomicI64,
        sticky: bool,
        errno: nix::errno::Errno,
    }

    /// Kills the process at the n-th pass of the point that the environment names.
    pub fn hit(name: &str) {
        let point = POINT.get_or_init(|| {
            let text = std::env::var("DOCKET_FAILPOINT").ok()?;
            let (name, n) = text.rsplit_once(':').unwrap_or((&text, "1"));
            Some((name.to_owned(), AtomicI64::new(n.parse().unwrap_or(1))))
        });
        if let Some((wanted, left)) = point
            && wanted == name
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Fails the n-th call of the operation that the environment names.
    pub fn io(op: Op) -> std::io::Result<()> {
        let fault = FAULT.get_or_init(|| {
            let text = std::env::var("DOCKET_IOFAULT").ok()?;
            let mut parts = text.split(':');
            let op = parts.next()?.to_owned();
            let n = parts.next()?;
            let errno = match parts.next()? {
                "ENOSPC" => nix::errno::Errno::ENOSPC,
                "ENODATA" => nix::errno::Errno::ENODATA,
                _ => nix::errno::Errno::EIO,
            };
            let sticky = n.ends_with('+');
            let left = AtomicI64::new(n.trim_end_matches('+').parse().ok()?);
            Some(Fault { op, left, sticky, errno })
        });
        let Some(fault) = fault else { return Ok(()) };
        let name = match op {
            Op::Read => "read",
            Op::Write => "write",
            Op::Sync => "sync",
            Op::Rename => "rename",
        };
        if fault.op != "any" && fault.op != name {
            return Ok(());
        }
        let left = fault.left.fetch_sub(1, Ordering::SeqCst);
        if left == 1 || (fault.sticky && left < 1) {
            eprintln!("injected {} into a {name}", fault.errno);
            return Err(std::io::Error::from_raw_os_error(fault.errno as i32));
        }
        Ok(())
    }
}

pub use imp::{hit, io};
