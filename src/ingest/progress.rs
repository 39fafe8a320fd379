//! How far a stay has come: counters that threads add to and screens read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::base::meter::{Meter, Step};
use crate::catalog::dockings::Counts;

/// What a stay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Finding out what is on the card.
    Looking,
    /// Reading from the card.
    Copying,
    /// The card is read; the archive is being read back.
    Verifying,
    /// A volume has no room; nothing is lost, copying goes on when there is.
    Waiting,
    /// Everything is archived: the recorder can be taken.
    Safe,
    /// It ended with something a person should look at.
    Attention,
}

impl Phase {
    /// The words for people, in both languages of the house.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Looking => ("looking", "识别中"),
            Self::Copying => ("copying", "采集中"),
            Self::Verifying => ("verifying", "校验中"),
            Self::Waiting => ("waiting for room", "等待存储空间"),
            Self::Safe => ("safe to take", "可取走"),
            Self::Attention => ("needs attention", "需处理"),
        }
    }
}

/// Shared by everybody who works on a stay.
pub struct Progress {
    begun: Mutex<Instant>,
    phase: Mutex<Phase>,
    current: Mutex<String>,
    trouble: Mutex<String>,
    counts: Mutex<Counts>,
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    bytes_read: AtomicU64,
    bytes_verified: AtomicU64,
    /// When the look that is under way began.
    looking: Mutex<Option<Instant>>,
    meter: OnceLock<Arc<Meter>>,
}

/// One look at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// What is being done.
    pub phase: Phase,
    /// The file being read.
    pub current: String,
    /// Why no stay could be begun, where that is so.
    #[serde(default)]
    pub trouble: String,
    /// Files to copy in this stay.
    pub files_total: u64,
    /// Files settled: archived, duplicate or failed.
    pub files_done: u64,
    /// Bytes to copy in this stay.
    pub bytes_total: u64,
    /// Bytes read from the card.
    pub bytes_read: u64,
    /// Bytes read back from the archive.
    pub bytes_verified: u64,
    /// Since the stay began.
    pub seconds: f64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            begun: Mutex::new(Instant::now()),
            phase: Mutex::new(Phase::Looking),
            current: Mutex::default(),
            trouble: Mutex::default(),
            counts: Mutex::default(),
            files_total: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            bytes_verified: AtomicU64::new(0),
            looking: Mutex::default(),
            meter: OnceLock::new(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// Begins anew, for the next stay in the same place.
    pub fn restart(&self) {
        *lock(&self.begun) = Instant::now();
        *lock(&self.counts) = Counts::default();
        self.set_current("");
        self.set_trouble("");
        self.set_totals(0, 0);
        *lock(&self.looking) = None;
        self.bytes_read.store(0, Relaxed);
        self.bytes_verified.store(0, Relaxed);
        self.set_phase(Phase::Looking);
    }

    /// From now on the time of looks is measured.
    pub fn measure(&self, meter: &Arc<Meter>) {
        let _ = self.meter.set(Arc::clone(meter));
    }

    /// Goes to a phase.
    pub fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
        let mut looking = lock(&self.looking);
        if phase == Phase::Looking {
            looking.get_or_insert_with(Instant::now);
        } else if let (Some(begun), Some(meter)) = (looking.take(), self.meter.get()) {
            meter.took(Step::Look, begun.elapsed());
        }
    }

    /// Says why no stay can be begun.
    pub fn set_trouble(&self, why: &str) {
        why.clone_into(&mut lock(&self.trouble));
    }

    /// Names the file being read.
    pub fn set_current(&self, name: &str) {
        name.clone_into(&mut lock(&self.current));
    }

    /// Sets what there is to do.
    pub fn set_totals(&self, files: u64, bytes: u64) {
        self.files_total.store(files, Relaxed);
        self.bytes_total.store(bytes, Relaxed);
    }

    /// More bytes read from the card.
    pub fn read(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Relaxed);
    }

    /// Takes reading back to where it stood: the file is read again.
    pub fn unread(&self, bytes: u64) {
        self.bytes_read.store(bytes, Relaxed);
    }

    /// More bytes read back from an archive volume.
    pub fn verified(&self, bytes: u64) {
        self.bytes_verified.fetch_add(bytes, Relaxed);
    }

    /// Changes the counts.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    /// A look at everything.
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.counts();
        Snapshot {
            phase: *lock(&self.phase),
            current: lock(&self.current).clone(),
            trouble: lock(&self.trouble).clone(),
            files_total: self.files_total.load(Relaxed),
            files_done: counts.archived + counts.duplicates + counts.failed,
            bytes_total: self.bytes_total.load(Relaxed),
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_verified: self.bytes_verified.load(Relaxed),
            seconds: lock(&self.begun).elapsed().as_secs_f64(),
        }
    }
}
