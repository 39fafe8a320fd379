//! A place to measure in: file systems on loop devices of their own, cold caches, and a block-I/O
//! limit that makes a card as slow as a USB 2 recorder. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where everything lies; removed at the end.
pub struct Lab {
    pub dir: PathBuf,
    cgroup: PathBuf,
    disks: Vec<Disk>,
}

/// A file system on a loop device.
pub struct Disk {
    pub path: PathBuf,
    device: String,
}

/// Runs a shell line; its output on success.
pub fn sh(line: &str) -> String {
    let out = Command::new("bash").args(["-euo", "pipefail", "-c", line]).output().expect("bash");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "`{line}` failed: {said}");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

impl Lab {
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "loop devices, cold caches and throttling need root");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        // What a run that was broken off left behind.
        sh(&format!("(grep -o '{0}/[^ ]*' /proc/mounts || true) | tac | xargs -r umount -l", dir.display()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("the bench folder");
        let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let root = if v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/blkio" };
        let cgroup = Path::new(root).join("docket-bench");
        std::fs::create_dir_all(&cgroup).expect("a control group");
        Self { dir, cgroup, disks: Vec::new() }
    }

    /// A new ext4 file system of `mib` MiB. Direct I/O on the loop device: its backing file must not
    /// be a second page cache. The room is allocated first, so that everybody finds it alike.
    pub fn disk(&mut self, name: &str, mib: u64, at: &Path) {
        let image = self.dir.join(format!("{name}.img"));
        let (image, at_shown) = (image.display(), at.display());
        let device = sh(&format!(
            "fallocate -l {mib}M {image}; mkfs.ext4 -q -F -m 0 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 {image}
             mkdir -p {at_shown}; d=$(losetup -f --show --direct-io=on {image}); mount $d {at_shown}
             rm -rf {at_shown}/lost+found; echo $d"
        ));
        self.disks.push(Disk { path: at.to_owned(), device });
    }

    /// Limits reading from the disk mounted at `at`, for what runs [`Lab::inside`].
    pub fn throttle(&self, at: &Path, bytes_per_second: u64) {
        let disk = self.disks.iter().find(|d| d.path == at).expect("a disk");
        let number = sh(&format!("cat /sys/class/block/{}/dev", disk.device.trim_start_matches("/dev/")));
        let v1 = self.cgroup.join("blkio.throttle.read_bps_device");
        let written = if v1.exists() {
            std::fs::write(v1, format!("{number} {bytes_per_second}"))
        } else {
            std::fs::write(self.cgroup.join("io.max"), format!("{number} rbps={bytes_per_second}"))
        };
        written.expect("a block-I/O limit");
    }

    /// A shell line that runs below the limits.
    pub fn inside(&self, line: &str) -> String {
        format!("echo $$ > {}/cgroup.procs; {line}", self.cgroup.display())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for disk in self.disks.iter().rev() {
            let _ = Command::new("umount").arg("-l").arg(&disk.path).status();
            let _ = Command::new("losetup").arg("-d").arg(&disk.device).status();
        }
        let _ = std::fs::remove_dir(&self.cgroup);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Everything written is on the disk, and nothing of it in memory.
pub fn cold() {
    nix::unistd::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").expect("dropped caches");
}

/// Runs a shell line from cold caches and tells how long it took.
pub fn timed(line: &str) -> Duration {
    cold();
    let begun = Instant::now();
    sh(line);
    begun.elapsed()
}
