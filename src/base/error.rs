//! The one error type: what happened, to what, and what to do next.

use std::fmt;
use std::path::Path;

/// `Result` with docket's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller may want to tell apart; everything else is in the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A system call failed; the errno says how.
    Io(nix::errno::Errno),
    /// No room left on a volume (ENOSPC, EDQUOT, or below the reserve).
    NoSpace,
    /// The card or its file is no longer there.
    Vanished,
    /// Somebody else holds the lock.
    Busy,
    /// Bad input: a setting, an argument, a name, a marker.
    Invalid,
    /// The named object is not known.
    NotFound,
    /// Bytes are not what the record says: hash, size, chain.
    Integrity,
    /// No rule lets this person do this (I8).
    Forbidden,
    /// Asked to stop.
    Cancelled,
    /// The catalogue (SQLite) refused.
    Catalog,
    /// The helper process for media failed.
    Media,
}

/// An error a person can act on.
pub struct Error {
    kind: Kind,
    what: String,
    next: Option<String>,
}

impl Kind {
    /// Whether bytes on a medium are lost or wrong, by their hash or by its own word. Direct I/O hands
    /// the block layer's errors through: ENODATA is a bad sector, EILSEQ a failed protection check;
    /// EUCLEAN and EBADMSG are damage that a file system has found.
    pub fn is_medium(self) -> bool {
        use nix::errno::Errno::{EBADMSG, EILSEQ, EIO, ENODATA, EREMOTEIO, EUCLEAN};
        match self {
            Self::Integrity => true,
            Self::Io(e) => [EBADMSG, EILSEQ, EIO, ENODATA, EREMOTEIO, EUCLEAN].contains(&e),
            _ => false,
        }
    }
}

impl Error {
    /// An error of `kind`; `what` says what happened and to what.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), next: None }
    }

    /// An I/O error on a path; full disks become [`Kind::NoSpace`].
    pub fn io(what: &str, path: &Path, e: impl Into<std::io::Error>) -> Self {
        let e = e.into();
        let path = crate::base::text::show(path.as_os_str());
        Self::new(Kind::of_io(&e), format!("cannot {what} {path}: {e}"))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened, without the advice.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do next, where there is something to say.
    pub fn advice(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl Kind {
    /// The kind of a system error.
    pub fn of_io(e: &std::io::Error) -> Self {
        use nix::errno::Errno;
        match e.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC | Errno::EDQUOT) => Kind::NoSpace,
            Some(errno) => Kind::Io(errno),
            None => Kind::Io(Errno::EIO),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.next {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        let full =
            matches!(&e, rusqlite::Error::SqliteFailure(f, _) if f.code == rusqlite::ErrorCode::DiskFull);
        Error::new(if full { Kind::NoSpace } else { Kind::Catalog }, format!("the catalogue refused: {e}"))
            .next("run `docket doctor`; it checks the catalogue and its disk")
    }
}
