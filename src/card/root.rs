//! A docked card held open: every look at it goes through this one handle, name by name, so that
//! neither a symlink on the card nor another card at the same path can lead elsewhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::base::text::show;
use crate::base::{Error, Kind, Result};

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The root folder of a docked card, held open.
#[derive(Debug)]
pub struct Card {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    id: (u64, u64),
    mount: Option<u64>,
}

impl Card {
    /// Opens the folder a card shows itself in and remembers which one it is.
    ///
    /// # Errors
    /// [`Kind::Vanished`] when nothing answers there; else the system's error.
    pub fn open(path: &Path) -> Result<Self> {
        let root_error = |e: Errno| root_error("open", path, e);
        let fd = nix::fcntl::open(path, DIRECTORY, Mode::empty()).map_err(root_error)?;
        let id = identity(&fstat(&fd).map_err(root_error)?);
        Ok(Self { mount: mount_id(fd.as_fd()), fd: Arc::new(fd), path: path.to_owned(), id })
    }

    /// A second handle on the same open card.
    ///
    /// # Errors
    /// None today; callers need not know that the handle is shared.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { fd: Arc::clone(&self.fd), path: self.path.clone(), ..*self })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its path still leads to this very card and its root can be listed.
    pub fn present(&self) -> bool {
        let look = || -> nix::Result<bool> {
            let fd = nix::fcntl::open(&self.path, DIRECTORY, Mode::empty())?;
            // The next card in the same slot has the same device number and root inode; only
            // the mount tells it from this one, whose number our handle keeps from being reused.
            let same = identity(&fstat(&fd)?) == self.id && mount_id(fd.as_fd()) == self.mount;
            // An empty listing has at least `.`: an error is the device's.
            Ok(same && Dir::from_fd(fd)?.iter().next().transpose()?.is_some())
        };
        // Out of handles or memory, we cannot tell; the card has not gone for that.
        look().unwrap_or_else(|e| matches!(e, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
    }

    /// Opens a file for reading; `path` is relative to the card and may be of any depth.
    ///
    /// # Errors
    /// [`Kind::Vanished`] when it is not there any more, [`Kind::Invalid`] when it is no regular
    /// file or the way to it leads through anything but folders; else the system's error.
    pub fn open_file(&self, path: &Path) -> Result<File> {
        let fail = |e: Errno| match e {
            Errno::ENOENT => Error::new(Kind::Vanished, format!("{} is no longer on the card", shown(path))),
            Errno::ENOTDIR | Errno::ELOOP => {
                Error::new(Kind::Invalid, format!("the way to {} is not made of folders", shown(path)))
                    .next("links on a card are never followed; look at the card by hand")
            }
            e => Error::io("open", path, io::Error::from(e)),
        };
        let not_a_file = |stat: &FileStat| match oddity(stat) {
            Some(what) => Err(Error::new(Kind::Invalid, format!("{} is {what}", shown(path)))),
            None if is_folder(stat) => {
                Err(Error::new(Kind::Invalid, format!("{} is a folder, not a file", shown(path))))
            }
            None => Ok(()),
        };
        let (Some(name), folder) = (path.file_name(), path.parent().unwrap_or(Path::new(""))) else {
            return Err(Error::new(Kind::Invalid, format!("`{}` names no file on a card", shown(path))));
        };
        let dir = self.open_dir(folder).map_err(fail)?;
        // Looked at before it is opened: opening a device or a FIFO can already do something.
        not_a_file(&stat_at(dir.as_fd(), name).map_err(fail)?)?;
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let fd = openat(&dir, name, flags, Mode::empty()).map_err(fail)?;
        not_a_file(&fstat(&fd).map_err(fail)?)?;
        Ok(File::from(fd))
    }

    /// Opens a folder below, one name at a time: paths longer than PATH_MAX work, links do not.
    pub(super) fn open_dir(&self, path: &Path) -> nix::Result<OwnedFd> {
        let enter =
            |at: BorrowedFd<'_>, name: &OsStr| openat(at, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty());
        let mut dir = enter(self.fd.as_fd(), OsStr::new("."))?;
        for part in path.components() {
            match part {
                Component::Normal(name) => dir = enter(dir.as_fd(), name)?,
                Component::CurDir => {}
                _ => return Err(Errno::ELOOP),
            }
        }
        Ok(dir)
    }
}

/// An error of the root: where the device is gone, [`Kind::Vanished`].
pub(super) fn root_error(what: &str, path: &Path, e: Errno) -> Error {
    use Errno::{EIO, ENODEV, ENOENT, ENOMEDIUM, ENOTCONN, ENXIO, ESTALE};
    match e {
        ENOENT | EIO | ENODEV | ENXIO | ENOMEDIUM | ESTALE | ENOTCONN => {
            Error::new(Kind::Vanished, format!("the card at {} is gone: {}", shown(path), e.desc()))
                .next("dock it again: work goes on where it stopped")
        }
        e => {
            Error::io(what, path, io::Error::from(e)).next("see that the station may read the card's folder")
        }
    }
}

/// Device and inode.
pub(super) fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The entry itself, never what a link points to.
pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &OsStr) -> nix::Result<FileStat> {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Whether it is a folder.
pub(super) fn is_folder(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFDIR
}

/// What it is in words, where it is neither file nor folder.
pub(super) fn oddity(stat: &FileStat) -> Option<&'static str> {
    match kind(stat) {
        SFlag::S_IFREG | SFlag::S_IFDIR => None,
        SFlag::S_IFLNK => Some("a symbolic link: not followed"),
        SFlag::S_IFIFO => Some("a FIFO: not a file"),
        SFlag::S_IFSOCK => Some("a socket: not a file"),
        SFlag::S_IFBLK | SFlag::S_IFCHR => Some("a device: not a file"),
        _ => Some("of no known type: not a file"),
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

fn shown(path: &Path) -> String {
    show(path.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn card() -> (tempfile::TempDir, Card) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("DCIM")).unwrap();
        std::fs::write(dir.path().join("DCIM/a.mp4"), b"footage").unwrap();
        let card = Card::open(dir.path()).unwrap();
        (dir, card)
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_has_vanished() {
        let (_dir, card) = card();
        let file = card.open_file(Path::new("DCIM/a.mp4")).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "footage");
        for gone in ["DCIM/b.mp4", "none/a.mp4"] {
            assert_eq!(card.open_file(Path::new(gone)).unwrap_err().kind(), Kind::Vanished, "{gone}");
        }
    }

    #[test]
    fn nothing_leads_off_the_card() {
        let (dir, card) = card();
        let at = |p: &str| dir.path().join(p);
        symlink("/etc/passwd", at("link.mp4")).unwrap();
        symlink("/etc", at("folder")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let odd = [
            "link.mp4",
            "folder/passwd",
            "pipe",
            "socket",
            "DCIM",
            "../x",
            "/etc/passwd",
            "DCIM/../DCIM/a.mp4",
        ];
        for path in odd.iter().chain(&["", "..", "DCIM/a.mp4/x"]) {
            assert_eq!(card.open_file(Path::new(path)).unwrap_err().kind(), Kind::Invalid, "{path}");
        }
    }

    #[test]
    fn a_card_is_present_while_its_path_leads_to_it() {
        let (dir, card) = card();
        assert!(card.present() && card.try_clone().unwrap().present());
        let here = dir.path().join("DCIM");
        let inner = Card::open(&here).unwrap();
        std::fs::remove_dir_all(&here).unwrap();
        assert!(!inner.present());
        std::fs::create_dir(&here).unwrap();
        assert!(!inner.present(), "another folder at the same path is another card");
        assert_eq!(Card::open(Path::new("/nonexistent/card")).unwrap_err().kind(), Kind::Vanished);
    }
}
