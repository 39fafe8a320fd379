//! Waiting for a state, mounts, and small things that several tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::stderr;

/// How long a test waits for what must come. Only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until there is an answer.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails unless a command ended with this exit status and said this on standard error.
pub fn expect_exit(out: &Output, code: i32, parts: &[&str]) {
    let (said, printed) = (stderr(out), String::from_utf8_lossy(&out.stdout));
    assert_eq!(out.status.code(), Some(code), "{said}\n{printed}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// The JSON a command printed, however it ended.
pub fn json_of(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(out)))
}

/// A list of objects by one of their texts, sorted.
pub fn texts(list: &Value, key: &str) -> Vec<String> {
    let mut out: Vec<String> =
        list.as_array().unwrap().iter().map(|v| v[key].as_str().unwrap().to_owned()).collect();
    out.sort();
    out
}

/// Changes one byte of a file that may be read-only, leaving its size as it is. Twice is undone.
pub fn flip(path: impl AsRef<Path>, at: usize) {
    let (path, before) = (path.as_ref(), std::fs::metadata(&path).unwrap());
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    let mut writable = before.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut writable, 0o600);
    std::fs::set_permissions(path, writable).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, before.permissions()).unwrap();
}

/// Says that a test, or a part of it, is left out here. Where the environment has `CI`, it fails: nobody reads
/// the notes there, and what is left out there is tested nowhere.
pub fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{why}. CI must run this test: as root with loop devices and mounts allowed (a privileged container), \
         and after `make test-system`"
    );
    eprintln!("skipped: {why}");
}

/// Whether tests run as root, which reads what nobody may.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Something mounted for a test, unmounted at its end.
pub struct Mount(pub PathBuf);

impl Mount {
    fn new(args: &[&str], source: &Path, target: &Path) -> Option<Self> {
        let out = Command::new("mount").args(args).arg(source).arg(target).output();
        match out {
            Ok(out) if out.status.success() => Some(Self(target.to_owned())),
            Ok(out) => {
                skipped(&format!("mount is not permitted here: {}", stderr(&out).trim()));
                None
            }
            Err(e) => {
                skipped(&format!("there is no mount here: {e}"));
                None
            }
        }
    }

    /// A small ext4 file system of its own at `target`; `None` (with a note) where that may not be.
    pub fn ext4(image: &Path, mib: u64, target: &Path) -> Option<Self> {
        Self::made(&["mkfs.ext4", "-q", "-F", "-m", "0"], image, mib, target)
    }

    /// A file system made by a command that ends with the image's path.
    pub fn made(mkfs: &[&str], image: &Path, mib: u64, target: &Path) -> Option<Self> {
        std::fs::File::create(image).unwrap().set_len(mib << 20).unwrap();
        let made = Command::new(mkfs[0]).args(&mkfs[1..]).arg(image).output();
        if !made.is_ok_and(|out| out.status.success()) {
            skipped(&format!("there is no {} here, or it failed", mkfs[0]));
            return None;
        }
        std::fs::create_dir_all(target).unwrap();
        Self::image(image, target)
    }

    /// The file system of an image that was made before.
    pub fn image(image: &Path, target: &Path) -> Option<Self> {
        Self::new(&["-o", "loop"], image, target)
    }

    /// Takes it away at once, even from under a program that uses it.
    pub fn detach(self) {
        let out = Command::new("umount").arg("-l").arg(&self.0).output().unwrap();
        assert!(out.status.success(), "{}", stderr(&out));
        std::mem::forget(self);
    }

    /// A file or folder shown at another place too.
    pub fn bind(source: &Path, target: &Path) -> Option<Self> {
        Self::new(&["--bind"], source, target)
    }

    /// The same once more, but read-only.
    pub fn read_only(folder: &Path) -> Option<Self> {
        let mount = Self::new(&["--bind"], folder, folder)?;
        Self::new(&["-o", "remount,bind,ro"], folder, folder).map(|again| {
            std::mem::forget(again);
            mount
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
