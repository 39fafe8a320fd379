//! The table.

use super::Role;

/// Something a person may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Look at units, officers, recorders and the ledger.
    ReadRegisters,
    /// Change units, officers and recorders.
    ChangeRegisters,
    /// Issue a recorder and take it back.
    KeepLedger,
    /// Look at recordings.
    ReadRecordings,
    /// Give a recording its classification.
    ClassifyRecording,
    /// Look at a case.
    ReadCase,
    /// Open a case.
    OpenCase,
    /// Change a case and its steps.
    ChangeCase,
    /// Close a case, or open it again.
    CloseCase,
    /// Attach footage to a step.
    Link,
    /// Take footage off a step.
    Unlink,
    /// Confirm that a step the checklist requires does not take place: a second person (article 32).
    ConfirmWaiver,
    /// Propose that a step needs no footage (承办人).
    ProposeExemption,
    /// Review that (审核人).
    ReviewExemption,
    /// Approve it (批准人).
    ApproveExemption,
    /// Look at deadlines and alerts.
    ReadAlerts,
    /// Take note of an alert.
    AcknowledgeAlert,
    /// Send a test message.
    TestChannel,
    /// Look at the custody log, and check it.
    ReadCustody,
    /// Work on the station itself: archive, check, mend and back up.
    RunStation,
    /// Replace the key that signs the custody log's checkpoints.
    ReplaceCustodyKey,
}

/// How far a role's right goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not at all.
    None,
    /// What they are a part of.
    Own,
    /// What belongs to their unit or one below it, and what they are a part of.
    Unit,
    /// Everything.
    All,
}

use Reach::{All, None, Own, Unit};

/// Rows: deeds. Columns: officer, reviewer, head, supervisor, storage, admin.
#[rustfmt::skip]
const TABLE: [(Deed, [Reach; 6]); 21] = [
    (Deed::ReadRegisters,     [All,  All,  All,  All,  All,  All]),
    (Deed::ChangeRegisters,   [None, None, None, None, None, All]),
    (Deed::KeepLedger,        [Own,  None, Unit, None, All,  All]),
    (Deed::ReadRecordings,    [Own,  Unit, Unit, All,  All,  All]),
    (Deed::ClassifyRecording, [Own,  Unit, Unit, None, None, All]),
    (Deed::ReadCase,          [Own,  Unit, Unit, All,  None, All]),
    (Deed::OpenCase,          [Unit, Unit, Unit, None, None, All]),
    (Deed::ChangeCase,        [Own,  None, Unit, None, None, All]),
    (Deed::CloseCase,         [Own,  None, Unit, None, None, All]),
    (Deed::Link,              [Own,  None, Unit, None, None, All]),
    (Deed::Unlink,            [Own,  None, Unit, None, None, All]),
    (Deed::ConfirmWaiver,     [None, Unit, Unit, None, None, None]),
    (Deed::ProposeExemption,  [Own,  None, Unit, None, None, All]),
    (Deed::ReviewExemption,   [None, Unit, None, None, None, None]),
    (Deed::ApproveExemption,  [None, None, Unit, None, None, None]),
    (Deed::ReadAlerts,        [Own,  Unit, Unit, All,  All,  All]),
    (Deed::AcknowledgeAlert,  [Own,  None, Unit, None, All,  All]),
    (Deed::TestChannel,       [None, None, None, None, All,  All]),
    (Deed::ReadCustody,       [None, None, None, All,  All,  All]),
    (Deed::RunStation,        [None, None, None, None, All,  All]),
    (Deed::ReplaceCustodyKey, [None, None, None, None, None, All]),
];

/// How far a role may go with a deed.
pub fn reach(role: Role, deed: Deed) -> Reach {
    let column = Role::ALL.iter().position(|r| *r == role);
    let row = TABLE.iter().find(|(d, _)| *d == deed);
    match (row, column) {
        (Some((_, row)), Some(column)) => row[column],
        _ => None,
    }
}

impl Deed {
    /// Every deed of the table.
    pub const ALL: [Deed; 21] = {
        let mut all = [Deed::ReadRegisters; 21];
        let mut i = 0;
        while i < all.len() {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        use Deed::{ReadAlerts, ReadCase, ReadCustody, ReadRecordings, ReadRegisters};
        matches!(self, ReadRegisters | ReadRecordings | ReadCase | ReadAlerts | ReadCustody)
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Deed::ReadRegisters => "look at the registers",
            Deed::ChangeRegisters => "change the registers",
            Deed::KeepLedger => "issue a recorder or take it back",
            Deed::ReadRecordings => "look at this recording",
            Deed::ClassifyRecording => "classify this recording",
            Deed::ReadCase => "look at this case",
            Deed::OpenCase => "open a case for this unit",
            Deed::ChangeCase => "change this case",
            Deed::CloseCase => "close this case",
            Deed::Link => "link footage to this case",
            Deed::Unlink => "unlink footage from this case",
            Deed::ConfirmWaiver => "confirm that a step does not take place",
            Deed::ProposeExemption => "propose an exemption",
            Deed::ReviewExemption => "review an exemption",
            Deed::ApproveExemption => "approve an exemption",
            Deed::ReadAlerts => "look at this alert",
            Deed::AcknowledgeAlert => "acknowledge this alert",
            Deed::TestChannel => "test a channel",
            Deed::ReadCustody => "look at the custody log",
            Deed::RunStation => "work on the station itself",
            Deed::ReplaceCustodyKey => "replace the custody key",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deed_has_one_row() {
        for (i, (deed, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[..i].iter().all(|(other, _)| other != deed), "{deed:?} stands twice");
        }
    }
}
