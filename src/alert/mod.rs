//! What somebody must know: conditions become alerts, alerts become messages, messages reach people.

pub mod channels;
pub mod devices;
pub mod message;
pub mod notify;
pub mod outbox;
pub mod people;
pub mod system;

use serde_json::{Map, Value};

pub use crate::base::config::channels::Severity;

/// What an alert is about; the words are public (settings, catalogue, `--json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A recording was not archived in time (article 28).
    RecordingOverdue,
    /// A recording's time to be archived runs out.
    RecordingDueSoon,
    /// A recorder was issued and not docked in time: footage must be assumed on it.
    RecorderNotDocked,
    /// A recorder's time to be docked runs out.
    RecorderDueSoon,
    /// A case file is not complete in time (article 28).
    CaseOverdue,
    /// A case file's time runs out.
    CaseDueSoon,
    /// A copy in the archive is damaged or missing.
    VerificationFailed,
    /// A volume has no room left, or takes no files.
    VolumeFull,
    /// A volume is not there, or failed.
    VolumeMissing,
    /// Something else lies where a volume should be.
    VolumeForeign,
    /// A docked card could not be archived whole.
    DockFault,
    /// A card has bytes that cannot be read.
    CardDamaged,
    /// Something was docked that is no known recorder.
    DeviceUnknown,
    /// Two docked devices say that they are the same recorder.
    IdentityDuplicate,
    /// A recorder's clock is far off.
    ClockOff,
    /// Viewable copies cannot be made, in number.
    DerivativesFailing,
    /// The last backup is old, or there is none.
    BackupOld,
    /// The custody log is not as it was written.
    CustodyFailed,
    /// Checkpoints of the custody log do not reach one of their keepers.
    WitnessFailing,
    /// Alerts do not get through on a channel.
    ChannelFailing,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 20] = [
        Kind::RecordingOverdue,
        Kind::RecordingDueSoon,
        Kind::RecorderNotDocked,
        Kind::RecorderDueSoon,
        Kind::CaseOverdue,
        Kind::CaseDueSoon,
        Kind::VerificationFailed,
        Kind::VolumeFull,
        Kind::VolumeMissing,
        Kind::VolumeForeign,
        Kind::DockFault,
        Kind::CardDamaged,
        Kind::DeviceUnknown,
        Kind::IdentityDuplicate,
        Kind::ClockOff,
        Kind::DerivativesFailing,
        Kind::BackupOld,
        Kind::CustodyFailed,
        Kind::WitnessFailing,
        Kind::ChannelFailing,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::RecordingOverdue => "recording-overdue",
            Kind::RecordingDueSoon => "recording-due-soon",
            Kind::RecorderNotDocked => "recorder-not-docked",
            Kind::RecorderDueSoon => "recorder-due-soon",
            Kind::CaseOverdue => "case-overdue",
            Kind::CaseDueSoon => "case-due-soon",
            Kind::VerificationFailed => "verification-failed",
            Kind::VolumeFull => "volume-full",
            Kind::VolumeMissing => "volume-missing",
            Kind::VolumeForeign => "volume-foreign",
            Kind::DockFault => "dock-fault",
            Kind::CardDamaged => "card-damaged",
            Kind::DeviceUnknown => "device-unknown",
            Kind::IdentityDuplicate => "identity-duplicate",
            Kind::ClockOff => "clock-off",
            Kind::DerivativesFailing => "derivatives-failing",
            Kind::BackupOld => "backup-old",
            Kind::CustodyFailed => "custody-failed",
            Kind::WitnessFailing => "witness-failing",
            Kind::ChannelFailing => "channel-failing",
        }
    }

    /// The kind of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }

    /// Whether a promise of the rule is broken: breaks through quiet hours and daily messages.
    pub fn is_overdue(self) -> bool {
        matches!(self, Kind::RecordingOverdue | Kind::RecorderNotDocked | Kind::CaseOverdue)
    }

    /// Whether it is about a deadline, and so about an officer.
    pub fn is_deadline(self) -> bool {
        self.is_overdue()
            || matches!(self, Kind::RecordingDueSoon | Kind::RecorderDueSoon | Kind::CaseDueSoon)
    }

    /// Its name in English and Chinese.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Kind::RecordingOverdue => ("recording overdue", "录音录像逾期未归档"),
            Kind::RecordingDueSoon => ("recording due soon", "录音录像归档即将到期"),
            Kind::RecorderNotDocked => ("recorder not docked", "记录仪逾期未接入"),
            Kind::RecorderDueSoon => ("recorder due soon", "记录仪即将逾期"),
            Kind::CaseOverdue => ("case overdue", "案卷逾期"),
            Kind::CaseDueSoon => ("case due soon", "案卷即将到期"),
            Kind::VerificationFailed => ("verification failed", "校验未通过"),
            Kind::VolumeFull => ("volume full", "存储卷空间不足"),
            Kind::VolumeMissing => ("volume missing", "存储卷不可用"),
            Kind::VolumeForeign => ("volume foreign", "非本站存储卷"),
            Kind::DockFault => ("dock fault", "采集口异常"),
            Kind::CardDamaged => ("card damaged", "存储卡损坏"),
            Kind::DeviceUnknown => ("unknown device", "未知设备"),
            Kind::IdentityDuplicate => ("identity in use twice", "记录仪编号重复"),
            Kind::ClockOff => ("clock far off", "记录仪时钟偏差过大"),
            Kind::DerivativesFailing => ("viewable copies failing", "浏览副本制作失败"),
            Kind::BackupOld => ("backup old", "备份过期"),
            Kind::CustodyFailed => ("custody log failed", "保管日志校验未通过"),
            Kind::WitnessFailing => ("checkpoints not delivered", "检查点未能送达"),
            Kind::ChannelFailing => ("channel failing", "告警通道故障"),
        }
    }

    /// What to do about it, in English; its Chinese is in `base/zh.txt`.
    pub fn advice(self) -> &'static str {
        match self {
            Kind::RecordingOverdue | Kind::RecordingDueSoon => {
                "dock the recorder and leave it until the screen says that it is safe to take"
            }
            Kind::RecorderNotDocked | Kind::RecorderDueSoon => {
                "dock the recorder: only a docking shows that it holds nothing; a return by hand does not"
            }
            Kind::CaseOverdue | Kind::CaseDueSoon => {
                "complete the case file and close it: docket cases show NUMBER tells what is missing"
            }
            Kind::VerificationFailed => {
                "docket fsck --depth bytes --apply makes those again that are whole elsewhere"
            }
            Kind::VolumeFull => "give the volume more room, or name another volume in the settings",
            Kind::VolumeMissing => "mount the volume's disk; `docket doctor` says what is wrong with it",
            Kind::VolumeForeign => "look what is mounted there; `docket doctor` says what is wrong with it",
            Kind::DockFault => "look at the dock and its card: docket status",
            Kind::CardDamaged => "keep the card as it is, and dock it once more; then have it replaced",
            Kind::DeviceUnknown => "find out whose it is, and register it: docket recorders add ID",
            Kind::IdentityDuplicate => "take both recorders out, and give each a number of its own",
            Kind::ClockOff => "set the recorder's clock before it is issued again",
            Kind::DerivativesFailing => "the originals are safe; `docket doctor` looks at FFmpeg",
            Kind::BackupOld => "make one, on another machine's disk: docket backup FILE",
            Kind::CustodyFailed => {
                "keep this catalogue as it is, and compare it with the last good `docket backup`"
            }
            Kind::WitnessFailing => {
                "see whether the witness folder is mounted and the webhook answers; what it lacks is handed \
                 out once it is back"
            }
            Kind::ChannelFailing => {
                "docket alerts outbox shows what waits; docket alerts test-channel NAME tries the channel"
            }
        }
    }
}

/// Something that is so now, and that somebody must know.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// What kind.
    pub kind: Kind,
    /// What it is about, as custody names objects: `recorder:<id>`, `case:<number>`, `volume:<name>`.
    pub subject: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is so, in English. Without what changes from minute to minute: each change is told.
    pub message: String,
    /// Facts beside it.
    pub details: Map<String, Value>,
    /// Whose it is: a number of the officers' register.
    pub officer: Option<i64>,
    /// Whose unit it is.
    pub unit: Option<i64>,
}

impl Condition {
    /// A condition of the station itself.
    pub fn new(
        kind: Kind,
        subject: impl Into<String>,
        severity: Severity,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            subject: subject.into(),
            severity,
            message: message.into(),
            details: Map::new(),
            officer: None,
            unit: None,
        }
    }
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is so.
    Opened,
    /// It says something else now.
    Updated,
    /// It is told to more people.
    Escalated,
    /// Somebody knows of it.
    Acknowledged,
    /// It is no more.
    Resolved,
}

impl Event {
    const ALL: [Event; 5] =
        [Event::Opened, Event::Updated, Event::Escalated, Event::Acknowledged, Event::Resolved];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Event::Opened => "opened",
            Event::Updated => "updated",
            Event::Escalated => "escalated",
            Event::Acknowledged => "acknowledged",
            Event::Resolved => "resolved",
        }
    }

    /// The event of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.word() == word)
    }
}

/// Who is told, as far as the rule says: the people behind these roles are found in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audience {
    /// The officer it concerns; on a case all who handle it.
    pub officer: bool,
    /// The head of the unit.
    pub head: bool,
    /// The supervisors of the whole station.
    pub supervisors: bool,
    /// Storage administrators and administrators.
    pub keepers: bool,
}

/// Who is told of a kind of alert at a level: a deadline goes to its officer, then to the head of the unit
/// as well, then to the supervisors; what is wrong with the station goes to those who keep it.
pub fn audience(kind: Kind, level: u32) -> Audience {
    if !kind.is_deadline() {
        return Audience { keepers: true, ..Audience::default() };
    }
    Audience { officer: true, head: level >= 1, supervisors: level >= 2, keepers: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::channels::KINDS;

    #[test]
    fn the_settings_know_every_kind() {
        assert_eq!(Kind::ALL.map(Kind::word).to_vec(), KINDS.to_vec());
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.word()), Some(kind));
            assert!(crate::base::zh::known(kind.advice()).is_some(), "{kind:?}: {}", kind.advice());
        }
        for event in Event::ALL {
            assert_eq!(Event::of(event.word()), Some(event));
        }
    }

    #[test]
    fn more_people_are_told_the_longer_it_lasts() {
        let told = |kind, level| {
            let a = audience(kind, level);
            [a.officer, a.head, a.supervisors, a.keepers]
        };
        assert_eq!(told(Kind::RecordingDueSoon, 0), [true, false, false, false]);
        assert_eq!(told(Kind::RecordingOverdue, 1), [true, true, false, false]);
        for level in 2..9 {
            assert_eq!(told(Kind::RecorderNotDocked, level), [true, true, true, false]);
        }
        assert_eq!(told(Kind::VolumeFull, 5), [false, false, false, true]);
    }
}
