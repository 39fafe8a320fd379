//! Checkpoints of the custody log, kept where whoever changes the catalogue does not reach: on every
//! volume and in the witness folder. A note that lies there is never replaced.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::layout;
use crate::base::durable_fs::{self, Dir};
use crate::base::text::hex;
use crate::base::{Error, Kind, Result};
use crate::custody::checkpoint::{Checkpoint, Kept};
use crate::custody::note::LONGEST;

/// A folder with checkpoints.
pub struct Place<'a> {
    dir: &'a Dir,
    folder: PathBuf,
    /// What the names of a station's notes begin with.
    prefix: String,
}

/// Whether a name in a volume's folder of checkpoints is one that docket gives; one that was being written
/// when the process ended counts too.
pub fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    name.strip_suffix(".txt").and_then(size_of).is_some()
}

/// The size in `00000000000000001234` or `00000000000000001234-89abcdef`.
fn size_of(stem: &str) -> Option<u64> {
    let (size, root) = stem.split_once('-').map_or((stem, None), |(s, r)| (s, Some(r)));
    let digits = |text: &str, n, ok: fn(&u8) -> bool| text.len() == n && text.as_bytes().iter().all(ok);
    let fits = digits(size, 20, u8::is_ascii_digit)
        && root.is_none_or(|r| digits(r, 8, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    fits.then(|| size.parse().ok()).flatten()
}

impl<'a> Place<'a> {
    /// The folder on a volume.
    pub fn on_volume(volume: &'a Dir) -> Self {
        Self { dir: volume, folder: layout::CHECKPOINTS.into(), prefix: String::new() }
    }

    /// A witness folder, which several stations may share.
    pub fn in_witness(folder: &'a Dir, station: &str) -> Self {
        Self { dir: folder, folder: PathBuf::new(), prefix: format!("{station}-") }
    }

    /// Its folder, for messages.
    pub fn path(&self) -> String {
        crate::base::text::show(self.dir.join(&self.folder).as_os_str())
    }

    fn names(&self) -> Result<Vec<(u64, String)>> {
        if !self.folder.as_os_str().is_empty() && self.dir.stat(&self.folder)?.is_none() {
            return Ok(Vec::new());
        }
        let names = self.dir.list(&self.folder)?;
        let size = |name: &str| name.strip_prefix(&self.prefix)?.strip_suffix(".txt").and_then(size_of);
        Ok(names.iter().filter_map(|n| n.to_str()).filter_map(|n| Some((size(n)?, n.to_owned()))).collect())
    }

    /// The sizes of the checkpoints here, by their names.
    pub fn sizes(&self) -> Result<BTreeSet<u64>> {
        Ok(self.names()?.into_iter().map(|(size, _)| size).collect())
    }

    /// The notes here: by which path, and their bytes as they are, or why they cannot be read: one odd name
    /// hides no other.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn notes(&self) -> Result<Vec<(PathBuf, Result<Vec<u8>>)>> {
        let names = self.names()?.into_iter().map(|(_, name)| self.folder.join(name));
        Ok(names.map(|path| (self.dir.join(&path), self.read(&path))).collect())
    }

    /// The bytes of a file, as far as a note can be long.
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let fail = |e| Error::io("read", &self.dir.join(path), e);
        let most = LONGEST as u64 + 1;
        self.dir.open_read(path)?.take(most).read_to_end(&mut bytes).map_err(fail)?;
        Ok(bytes)
    }

    /// Writes a checkpoint here, durably; false where it is here already. One of the same size and
    /// another root stays, and this gets a name with its root in it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&self, kept: &Kept) -> Result<bool> {
        if !self.folder.as_os_str().is_empty() {
            self.dir.create_dirs(&self.folder)?;
        }
        let root = Checkpoint::of(kept.note.as_bytes()).map(|(_, c)| hex(&c.root[..4])).unwrap_or_default();
        for name in [format!("{:020}.txt", kept.size), format!("{:020}-{root}.txt", kept.size)] {
            let path = self.folder.join(format!("{}{name}", self.prefix));
            if self.dir.stat(&path)?.is_none() && self.write(&path, kept.note.as_bytes())? {
                return Ok(true);
            }
            // Whatever else lies there stays, be it something that cannot be read.
            if self.read(&path).is_ok_and(|bytes| bytes == kept.note.as_bytes()) {
                return Ok(false);
            }
        }
        let what =
            format!("checkpoints of {} entries that differ lie at {}", kept.size, self.dir.path().display());
        Err(Error::new(Kind::Integrity, what).next("`docket custody verify` says which of them fits the log"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let temp = PathBuf::from(format!("{}.new", path.display()));
        self.dir.remove(&temp)?;
        let mut file = self.dir.create_new(&temp)?;
        durable_fs::append(&mut file, bytes).map_err(|e| Error::io("write", &self.dir.join(&temp), e))?;
        // Where the file system knows no modes it stays as it is.
        let _ = durable_fs::make_read_only(&file);
        durable_fs::sync(&file).map_err(|e| Error::io("sync", &self.dir.join(&temp), e))?;
        let placed = self.dir.rename_new(&temp, path)?;
        self.dir.sync_dir(&self.folder)?;
        Ok(placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::note::PrivateKey;

    fn kept(size: u64, root: u8) -> Kept {
        let checkpoint = Checkpoint { origin: "docket/x".into(), size, root: [root; 32] };
        let note = PrivateKey::new("docket/x", &[1; 32]).sign(&checkpoint.text());
        Kept { size, note, at: chrono::DateTime::default() }
    }

    #[test]
    fn what_lies_there_is_never_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        for place in [Place::on_volume(&dir), Place::in_witness(&dir, "x")] {
            assert!(place.notes().unwrap().is_empty());
            assert!(place.keep(&kept(7, 1)).unwrap());
            assert!(!place.keep(&kept(7, 1)).unwrap());
            assert!(place.keep(&kept(7, 2)).unwrap());
            assert!(!place.keep(&kept(7, 2)).unwrap());
            assert!(place.keep(&kept(8, 1)).unwrap());
            assert_eq!(place.sizes().unwrap(), BTreeSet::from([7, 8]));
            let notes: Vec<_> = place.notes().unwrap().into_iter().map(|(_, b)| b.unwrap()).collect();
            assert_eq!(notes, [kept(7, 2), kept(7, 1), kept(8, 1)].map(|k| k.note.into_bytes()));
        }
        let other = Place::in_witness(&dir, "y");
        assert!(other.sizes().unwrap().is_empty(), "another station's notes are not ours");
    }

    #[test]
    fn an_odd_thing_under_a_note_s_name_hides_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let place = Place::on_volume(&dir);
        place.keep(&kept(9, 1)).unwrap();
        let folder = temp.path().join("checkpoints");
        let name = |n: u64| folder.join(format!("{n:020}.txt"));
        std::os::unix::fs::symlink("/etc/hostname", name(1)).unwrap();
        std::fs::create_dir(name(2)).unwrap();
        nix::unistd::mkfifo(&name(3), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let notes = place.notes().unwrap();
        assert_eq!(notes.iter().map(|(_, n)| n.is_ok()).collect::<Vec<_>>(), [false, false, false, true]);
        for n in 1..=3 {
            assert!(place.keep(&kept(n, 4)).unwrap(), "beside it, under a name of its own");
            assert!(!place.keep(&kept(n, 4)).unwrap());
        }
    }

    #[test]
    fn names_that_docket_gives() {
        for ours in
            ["00000000000000000007.txt", "00000000000000000007-89abcdef.txt", "00000000000000000007.txt.new"]
        {
            assert!(is_ours(ours), "{ours}");
        }
        for other in
            ["7.txt", "00000000000000000007", "00000000000000000007-89abcdeg.txt", "a.txt", "", ".txt"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
