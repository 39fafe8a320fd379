//! The only place that syncs, renames and removes files. Everything is done below an open directory, so
//! that a volume unmounted under way can never be written to by its path, and no symbolic link below it
//! leads out of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, Flock, FlockArg, OFlag, PosixFadviseAdvice, RenameFlags};
use nix::sys::stat::{FileStat, Mode};

use super::failpoint::{self, Op};
use super::{Error, Kind, Result, beneath};

/// How bytes were read back from the medium (kept with every verified recording).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// Direct I/O: the page cache had no part in it.
    Direct,
    /// The file system has no direct I/O: the cache was dropped for the file first.
    CacheDropped,
}

impl ReadBack {
    /// The word in records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::CacheDropped => "cache-dropped",
        }
    }
}

const NO_LINKS: &str = "docket follows no symbolic link below its folders: put the real folder or file back \
     there (where it has to lie elsewhere, use a bind mount), and find out who placed the link";

/// An open directory and everything done below it.
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens an existing directory.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The same directory, opened anew: the kernel tells each opening once of a write that failed.
    pub fn reopen(&self) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let fd = self.openat(Path::new("."), flags, 0).map_err(self.fail("open", Path::new("")))?;
        Ok(Self { fd: fd.into(), path: self.path.clone() })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of something below, for messages and for readers.
    pub fn join(&self, rel: &Path) -> PathBuf {
        self.path.join(rel)
    }

    fn fail<E: Into<io::Error>>(&self, what: &'static str, rel: &Path) -> impl FnOnce(E) -> Error {
        let path = self.join(rel);
        move |e| {
            let e: io::Error = e.into();
            let is_link = e.raw_os_error() == Some(Errno::ELOOP as i32);
            let error = Error::io(what, &path, e);
            if is_link { error.next(NO_LINKS) } else { error }
        }
    }

    fn openat(&self, rel: &Path, flags: OFlag, mode: u32) -> io::Result<File> {
        Ok(File::from(beneath::open(&self.fd, rel, flags, Mode::from_bits_truncate(mode))?))
    }

    /// Creates a file that must not exist yet, readable by the owner alone.
    pub fn create_new(&self, rel: &Path) -> Result<File> {
        failpoint::io(Op::Write)
            .and_then(|()| self.openat(rel, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, 0o600))
            .map_err(self.fail("create", rel))
    }

    /// Opens for reading.
    pub fn open_read(&self, rel: &Path) -> Result<File> {
        failpoint::io(Op::Read)
            .and_then(|()| self.openat(rel, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0))
            // A FIFO in a file's place would be waited for without end.
            .and_then(|file| if file.metadata()?.is_file() { Ok(file) } else { Err(Errno::EINVAL.into()) })
            .map_err(self.fail("open", rel))
    }

    /// Opens an existing file for reading and writing.
    pub fn open_write(&self, rel: &Path) -> Result<File> {
        failpoint::io(Op::Write)
            .and_then(|()| self.openat(rel, OFlag::O_RDWR, 0))
            .map_err(self.fail("open", rel))
    }

    /// Lets the owner write to a file again that was made read-only.
    pub fn make_writable(&self, rel: &Path) -> Result<()> {
        failpoint::io(Op::Write).map_err(self.fail("change the mode of", rel))?;
        match self.stat(rel)? {
            Some(s) if s.st_mode & nix::libc::S_IFMT == nix::libc::S_IFREG => self
                .openat(rel, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0)
                .and_then(|file| file.set_permissions(std::fs::Permissions::from_mode(0o600)))
                .map_err(self.fail("change the mode of", rel)),
            _ => Ok(()),
        }
    }

    /// Opens for reading and appending, creating it if need be; true if it was created.
    pub fn open_append(&self, rel: &Path) -> Result<(File, bool)> {
        let flags = OFlag::O_RDWR | OFlag::O_APPEND;
        failpoint::io(Op::Write).map_err(self.fail("create", rel))?;
        match self.openat(rel, flags | OFlag::O_CREAT | OFlag::O_EXCL, 0o640) {
            Ok(file) => Ok((file, true)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.openat(rel, flags, 0).map(|f| (f, false)).map_err(self.fail("open", rel))
            }
            Err(e) => Err(self.fail("create", rel)(e)),
        }
    }

    /// Opens for a read-back past the page cache, by the best way the file system has.
    pub fn open_read_back(&self, rel: &Path) -> Result<(File, ReadBack)> {
        failpoint::io(Op::Read).map_err(self.fail("open", rel))?;
        match self.openat(rel, OFlag::O_RDONLY | OFlag::O_DIRECT, 0) {
            Ok(file) => Ok((file, ReadBack::Direct)),
            Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => {
                let file = self.open_read(rel)?;
                drop_cache(&file);
                Ok((file, ReadBack::CacheDropped))
            }
            Err(e) => Err(self.fail("open", rel)(e)),
        }
    }

    /// Facts about an entry, symbolic links not followed; `None` where there is none.
    pub fn stat(&self, rel: &Path) -> Result<Option<FileStat>> {
        failpoint::io(Op::Read).map_err(self.fail("look at", rel))?;
        let found = beneath::parent(&self.fd, rel)
            .and_then(|(dir, name)| nix::sys::stat::fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(e) => Err(self.fail("look at", rel)(e)),
        }
    }

    /// Creates a directory path level by level, syncing the parent of each level: one that was
    /// there already may stem from a process that was killed before it synced. A link in a folder's
    /// place is refused.
    pub fn create_dirs(&self, rel: &Path) -> Result<()> {
        let mut done = PathBuf::new();
        for part in rel.components() {
            let parent = done.clone();
            done.push(part);
            failpoint::io(Op::Write).map_err(self.fail("create", &done))?;
            let made = beneath::parent(&self.fd, &done)
                .and_then(|(dir, name)| nix::sys::stat::mkdirat(&dir, name, Mode::from_bits_truncate(0o750)));
            match made {
                Ok(()) | Err(Errno::EEXIST) => self.sync_dir(&parent)?,
                Err(e) => return Err(self.fail("create", &done)(e)),
            }
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        self.openat(rel, flags, 0).map(drop).map_err(self.fail("create", rel))
    }

    /// Makes the names in a directory below (`""`: this one) durable.
    pub fn sync_dir(&self, rel: &Path) -> Result<()> {
        failpoint::io(Op::Sync).map_err(self.fail("sync", rel))?;
        if rel.as_os_str().is_empty() {
            return nix::unistd::fsync(&self.fd).map_err(self.fail("sync", rel));
        }
        let dir =
            self.openat(rel, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0).map_err(self.fail("open", rel))?;
        nix::unistd::fsync(&dir).map_err(self.fail("sync", rel))
    }

    /// Moves without ever replacing; `Ok(false)` where the goal exists already.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<bool> {
        failpoint::io(Op::Rename).map_err(self.fail("rename", from))?;
        let flags = RenameFlags::RENAME_NOREPLACE;
        let (from_dir, old) = beneath::parent(&self.fd, from).map_err(self.fail("rename", from))?;
        let (to_dir, new) = beneath::parent(&self.fd, to).map_err(self.fail("rename", to))?;
        match nix::fcntl::renameat2(&from_dir, old, &to_dir, new, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            // File systems without the flag: a hard link refuses to replace as well.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                match nix::unistd::linkat(&from_dir, old, &to_dir, new, AtFlags::empty()) {
                    Ok(()) => self.remove(from).map(|()| true),
                    Err(Errno::EEXIST) => Ok(false),
                    Err(e) => Err(self.fail("rename", from)(e)),
                }
            }
            Err(e) => Err(self.fail("rename", from)(e)),
        }
    }

    /// Removes a file; one that is not there is no error.
    pub fn remove(&self, rel: &Path) -> Result<()> {
        failpoint::io(Op::Write).map_err(self.fail("remove", rel))?;
        let flag = nix::unistd::UnlinkatFlags::NoRemoveDir;
        let removed =
            beneath::parent(&self.fd, rel).and_then(|(dir, name)| nix::unistd::unlinkat(&dir, name, flag));
        match removed {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(self.fail("remove", rel)(e)),
        }
    }

    /// Writes a small file whole or not at all, durably.
    pub fn write_whole(&self, rel: &Path, bytes: &[u8]) -> Result<()> {
        let temp = PathBuf::from(format!("{}.new", rel.display()));
        self.remove(&temp)?;
        let mut file = self.create_new(&temp)?;
        append(&mut file, bytes).map_err(self.fail("write", &temp))?;
        sync(&file).map_err(self.fail("sync", &temp))?;
        failpoint::io(Op::Rename).map_err(self.fail("rename", &temp))?;
        beneath::parent(&self.fd, &temp)
            .and_then(|(dir, temp)| {
                nix::fcntl::renameat(&dir, temp, &dir, rel.file_name().unwrap_or_default())
            })
            .map_err(self.fail("rename", &temp))?;
        self.sync_dir(rel.parent().unwrap_or(Path::new("")))
    }

    /// The names in a directory below, sorted, without `.` and `..`.
    pub fn list(&self, rel: &Path) -> Result<Vec<std::ffi::OsString>> {
        failpoint::io(Op::Read).map_err(self.fail("list", rel))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let opened = beneath::open(&self.fd, rel, flags, Mode::empty());
        let mut read = opened.and_then(nix::dir::Dir::from_fd).map_err(self.fail("list", rel))?;
        let mut names = Vec::new();
        for entry in read.iter() {
            let entry = entry.map_err(self.fail("list", rel))?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Bytes an unprivileged writer may still use, and the size of the file system.
    pub fn space(&self) -> Result<(u64, u64)> {
        let s = nix::sys::statvfs::fstatvfs(&self.fd).map_err(self.fail("measure", Path::new("")))?;
        let bytes = |blocks: u64| blocks.saturating_mul(s.fragment_size());
        Ok((bytes(s.blocks_available()), bytes(s.blocks())))
    }

    /// Everything written below so far to the medium, in one go: what many small files share.
    pub fn sync_fs(&self) -> Result<()> {
        let rel = Path::new("");
        failpoint::io(Op::Sync).map_err(self.fail("sync", rel))?;
        nix::unistd::syncfs(&self.fd).map_err(self.fail("sync", rel))
    }

    /// Whether [`Dir::sync_fs`] can be relied upon: a local file system whose driver flushes the
    /// device, on a kernel that tells of everything that failed (Linux 5.8 for writes, 5.17 for the journal).
    pub fn can_sync_fs(&self) -> bool {
        use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, fstatfs};
        let local = fstatfs(&self.fd).is_ok_and(|s| {
            [BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC].contains(&s.filesystem_type())
        });
        let release = nix::sys::utsname::uname().ok();
        let mut numbers = release
            .as_ref()
            .and_then(|u| u.release().to_str())
            .unwrap_or_default()
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse::<u32>().unwrap_or(0));
        let kernel = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        local && kernel >= (5, 17)
    }

    /// How many files an unprivileged user may still make; `None` where the file system has no such bound.
    pub fn files_left(&self) -> Option<u64> {
        let s = nix::sys::statvfs::fstatvfs(&self.fd).ok()?;
        (s.files() > 0).then(|| s.files_available())
    }

    /// Device and inode: tells whether a path still leads here.
    pub fn identity(&self) -> Result<(u64, u64)> {
        let s = nix::sys::stat::fstat(self.fd.as_fd()).map_err(self.fail("look at", Path::new("")))?;
        Ok((s.st_dev, s.st_ino))
    }

    /// Takes the exclusive lock on a file below, which `create` may make; held until dropped.
    pub fn lock(&self, rel: &Path, create: bool) -> Result<Flock<File>> {
        let flags = if create { OFlag::O_RDWR | OFlag::O_CREAT } else { OFlag::O_RDWR };
        let file = self.openat(rel, flags, 0o600).map_err(self.fail("open", rel))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| match e {
            Errno::EWOULDBLOCK => {
                Error::new(Kind::Busy, format!("{} is locked by another docket", self.join(rel).display()))
            }
            e => self.fail("lock", rel)(e),
        })
    }
}

/// File contents and facts to the medium.
pub fn sync(file: &File) -> io::Result<()> {
    failpoint::io(Op::Sync)?;
    file.sync_all()
}

/// File contents (and size) to the medium.
pub fn sync_data(file: &File) -> io::Result<()> {
    failpoint::io(Op::Sync)?;
    file.sync_data()
}

/// Writes all bytes at the end of a file opened for that.
pub fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    failpoint::io(Op::Write)?;
    file.write_all(bytes)
}

/// Reads until the buffer is full or the file ends; returns how much.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    failpoint::io(Op::Read)?;
    let mut filled = 0;
    while filled < buf.len() {
        match file.read_at(&mut buf[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// One read; at most what the file has left. For direct I/O, where a second read would be unaligned.
pub fn read_some(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    failpoint::io(Op::Read)?;
    loop {
        match file.read_at(buf, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Sets room aside for `size` bytes without changing the length. File systems that cannot are left be.
pub fn reserve(file: &File, size: u64) -> io::Result<()> {
    failpoint::io(Op::Write)?;
    let Ok(size) = i64::try_from(size) else { return Err(Errno::EFBIG.into()) };
    match nix::fcntl::fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, size) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Cuts or extends to a length.
pub fn set_len(file: &File, len: u64) -> io::Result<()> {
    failpoint::io(Op::Write)?;
    file.set_len(len)
}

/// Makes a file read-only for everybody, for good.
pub fn make_read_only(file: &File) -> io::Result<()> {
    failpoint::io(Op::Write)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o440))
}

/// Asks the kernel to start writing a range out now, without waiting; only a hint.
pub fn start_writeback(file: &File, offset: u64, len: u64) {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return };
    // SAFETY: a plain system call on a descriptor we own; it touches no memory of ours.
    unsafe {
        nix::libc::sync_file_range(file.as_raw_fd(), offset, len, nix::libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// Drops a file's clean pages from the page cache; only a hint.
pub fn drop_cache(file: &File) {
    let _ = nix::fcntl::posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// Tells the kernel that a file is read once from start to end.
pub fn read_once(file: &File) {
    let _ = nix::fcntl::posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
}
