//! What the child that reads media may not do, whatever a file makes of it (I7).

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::libc::{EPERM, SYS_io_uring_setup, SYS_socket};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::base::{Error, Kind, Result};

fn fail(e: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Media, format!("the media worker cannot be cut off from the network: {e}")).next(
        "a kernel with seccomp filters does it (x86-64, ARM64); without, a crafted video might reach out",
    )
}

/// Takes the network from this thread and all that it starts: no socket can be opened any more, nor the
/// ring by which one could be opened unseen.
///
/// # Errors
/// Where the kernel has no seccomp, or this machine is none that filters are known for.
pub fn no_network() -> Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| fail(&e))?;
    let rules = BTreeMap::from([(SYS_socket, vec![]), (SYS_io_uring_setup, vec![])]);
    let refuse = SeccompAction::Errno(EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(|e| fail(&e))?;
    let program = BpfProgram::try_from(filter).map_err(|e| fail(&e))?;
    apply_filter(&program).map_err(|e| fail(&e))
}

/// Tries [`no_network`] on a thread that does nothing else.
///
/// # Errors
/// As [`no_network`].
pub fn try_out() -> Result<()> {
    let started = std::thread::Builder::new().spawn(no_network).map_err(|e| fail(&e))?;
    started.join().unwrap_or_else(|_| Err(fail(&std::io::Error::from(Errno::EAGAIN))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn nothing_that_a_file_starts_reaches_the_network() {
        let tried = std::thread::spawn(|| {
            TcpListener::bind("127.0.0.1:0").unwrap();
            no_network().unwrap();
            let own = TcpListener::bind("127.0.0.1:0").unwrap_err().kind();
            let started = std::thread::spawn(|| TcpListener::bind("127.0.0.1:0").unwrap_err().kind());
            (own, started.join().unwrap())
        });
        let refused = std::io::ErrorKind::PermissionDenied;
        assert_eq!(tried.join().unwrap(), (refused, refused));
        try_out().unwrap();
        TcpListener::bind("127.0.0.1:0").unwrap();
    }
}
