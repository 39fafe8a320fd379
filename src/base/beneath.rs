//! Opening what lies beneath a directory, and nothing else: no symbolic link on the way is followed, so
//! that a folder that was swapped for a link leads nowhere (openat2(2), `RESOLVE_NO_SYMLINKS`).

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, SFlag};

/// The names of a relative path without `.`.
fn names(rel: &Path) -> Result<Vec<&OsStr>, Errno> {
    let mut names = Vec::new();
    for part in rel.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(names)
}

/// Opens `rel` (`""`: the directory itself) beneath an open directory.
///
/// # Errors
/// `EINVAL` where the path could lead out by itself, `ELOOP` where it has a symbolic link in it.
pub(super) fn open(dir: &OwnedFd, rel: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    let names = names(rel)?;
    let flags = flags | OFlag::O_CLOEXEC;
    let path: PathBuf = if names.is_empty() { ".".into() } else { names.iter().collect() };
    let how = OpenHow::new()
        .flags(flags)
        // Elsewhere than with O_CREAT openat2 takes a mode for a mistake.
        .mode(if flags.contains(OFlag::O_CREAT) { mode } else { Mode::empty() })
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    match nix::fcntl::openat2(dir, &path, how) {
        // Kernels before 5.6, and sandboxes that know no such call.
        Err(Errno::ENOSYS | Errno::EPERM) => by_steps(dir, &names, flags, mode),
        opened => opened,
    }
}

/// The same one name after the other.
fn by_steps(dir: &OwnedFd, names: &[&OsStr], flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    let folder = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut at: Option<OwnedFd> = None;
    for (i, name) in names.iter().enumerate() {
        let from = at.as_ref().unwrap_or(dir);
        let flags = if i + 1 == names.len() { flags } else { folder };
        let opened = nix::fcntl::openat(from, *name, flags | OFlag::O_NOFOLLOW, mode);
        at = Some(
            opened.map_err(|e| if e == Errno::ENOTDIR && is_link(from, name) { Errno::ELOOP } else { e })?,
        );
    }
    match at {
        Some(opened) => Ok(opened),
        None => nix::fcntl::openat(dir, ".", flags, mode),
    }
}

fn is_link(dir: &OwnedFd, name: &OsStr) -> bool {
    nix::sys::stat::fstatat(dir.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|s| SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK)
}

/// The directory that an entry beneath is in, opened, and the entry's name in it.
///
/// # Errors
/// As [`open`]; `EINVAL` also where the path names no entry.
pub(super) fn parent<'a>(dir: &OwnedFd, rel: &'a Path) -> Result<(OwnedFd, &'a OsStr), Errno> {
    let name = names(rel)?.pop().ok_or(Errno::EINVAL)?;
    let above = rel.parent().unwrap_or(Path::new(""));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    Ok((open(dir, above, flags, Mode::empty())?, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    type How = fn(&OwnedFd, &Path, OFlag, Mode) -> Result<OwnedFd, Errno>;

    #[test]
    fn nothing_but_what_lies_beneath_is_opened() {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(root.join("a/b/f"), "in").unwrap();
        std::fs::write(outside.join("f"), "out").unwrap();
        for (link, to) in [("a/link", "../../outside"), ("a/inner", "b"), ("a/b/l", "f"), ("a/abs", "/")] {
            std::os::unix::fs::symlink(to, root.join(link)).unwrap();
        }
        let dir = std::fs::File::open(&root).unwrap().into();
        let steps: How = |dir, rel, flags, mode| by_steps(dir, &names(rel)?, flags | OFlag::O_CLOEXEC, mode);
        for how in [open as How, steps] {
            for (path, flags, wanted) in [
                ("a/b/f", OFlag::O_RDONLY, Ok("in")),
                ("a/./b/f", OFlag::O_RDONLY, Ok("in")),
                ("a/link/f", OFlag::O_RDONLY, Err(Errno::ELOOP)),
                ("a/link", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Err(Errno::ELOOP)),
                ("a/link/new", OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, Err(Errno::ELOOP)),
                ("a/inner/f", OFlag::O_RDONLY, Err(Errno::ELOOP)),
                ("a/abs/etc", OFlag::O_RDONLY, Err(Errno::ELOOP)),
                ("a/b/l", OFlag::O_RDONLY, Err(Errno::ELOOP)),
                ("a/b/l", OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, Err(Errno::EEXIST)),
                ("a/b/f/x", OFlag::O_RDONLY, Err(Errno::ENOTDIR)),
                ("a/x/f", OFlag::O_RDONLY, Err(Errno::ENOENT)),
                ("../outside/f", OFlag::O_RDONLY, Err(Errno::EINVAL)),
                ("/etc", OFlag::O_RDONLY, Err(Errno::EINVAL)),
            ] {
                let opened = how(&dir, Path::new(path), flags, Mode::S_IRUSR);
                let read = opened.map(|fd| {
                    let mut text = String::new();
                    std::fs::File::from(fd).read_to_string(&mut text).unwrap();
                    text
                });
                assert_eq!(read.as_deref().map_err(|e| *e), wanted, "{path}");
            }
            assert!(how(&dir, Path::new(""), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).is_ok());
        }
        assert!(!outside.join("new").exists());
    }
}
