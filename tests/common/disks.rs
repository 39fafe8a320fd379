//! Stations whose volumes are file systems of their own, small enough to fill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tools::{Mount, json_of, skipped, until};
use super::{Archive, Station, check, content};

/// A small file system in a folder of its own.
pub struct Disk {
    pub mount: Option<Mount>,
    dir: tempfile::TempDir,
}

impl Disk {
    /// An ext4 of so many MiB; `None` where that may not be.
    pub fn ext4(mib: u64) -> Option<Self> {
        Self::made(&["mkfs.ext4", "-q", "-F", "-m", "0"], mib)
    }

    pub fn made(mkfs: &[&str], mib: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Mount::made(mkfs, &dir.path().join("image"), mib, &dir.path().join("disk"))?;
        Some(Self { mount: Some(mount), dir })
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    pub fn unmount(&mut self) {
        self.mount.take().unwrap().detach();
    }

    pub fn mount_again(&mut self) {
        self.mount = Mount::image(&self.dir.path().join("image"), &self.path());
        assert!(self.mount.is_some());
    }

    /// Has an ext4 do what it does when its disk fails; false (with a note) where that may not be.
    pub fn fail(&self) -> bool {
        let source = std::process::Command::new("findmnt").args(["-no", "SOURCE"]).arg(self.path()).output();
        let source = String::from_utf8(source.unwrap().stdout).unwrap();
        let device = Path::new(source.trim()).file_name().unwrap().to_owned();
        let trigger = Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
        let done = std::fs::write(&trigger, "a test asks for it");
        if let Err(e) = &done {
            skipped(&format!("a failing disk cannot be feigned: {}: {e}", trigger.display()));
        }
        done.is_ok()
    }

    /// Takes up all room but so many bytes, until the returned file is removed.
    pub fn fill_but(&self, left: u64) -> PathBuf {
        let ballast = self.path().join("ballast");
        let space = nix::sys::statvfs::statvfs(&self.path()).unwrap();
        let free = space.blocks_available() * space.fragment_size();
        std::fs::write(&ballast, content(99, usize::try_from(free - left).unwrap())).unwrap();
        ballast
    }
}

/// A station that archives everything to all of these volumes: name and folder.
pub fn station_on(volumes: &[(&str, &Path)]) -> Station {
    let tables: String = volumes
        .iter()
        .map(|(name, path)| {
            format!("[[volume]]\nname = \"{name}\"\npath = \"{}\"\nreserve = \"1 MiB\"\n", path.display())
        })
        .collect();
    let names: Vec<&str> = volumes.iter().map(|v| v.0).collect();
    Station::with_config(&format!(
        "{tables}[ingest]\narchive_to = {names:?}\nsettle_seconds = 0\njournal_every = \"1 MiB\"\nprobe = false\n\
         rescan_seconds = 1\n"
    ))
}

/// The check of the whole archive, wherever its volumes lie.
pub fn check_on(station: &Station, volumes: &[(&str, &Path)]) -> Archive {
    let map: BTreeMap<_, _> = volumes.iter().map(|(n, p)| ((*n).to_owned(), p.to_path_buf())).collect();
    check(&station.db(), &map)
}

/// What `docket status` says of a volume.
pub fn volume(station: &Station, name: &str) -> Value {
    let status = json_of(&station.run(&["status", "--json"]));
    status["volumes"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap().clone()
}

/// Waits until a volume is in a state; its row then.
pub fn wait_for_volume(station: &Station, name: &str, state: &str) -> Value {
    until(&format!("volume {name} to be {state}"), || {
        Some(volume(station, name)).filter(|v| v["state"] == state)
    })
}
