//! What a shift leaves in the catalogue: a line of the ledger, a docking, recordings with their copies, and
//! their deadlines.

use docket::base::text::hex;
use rusqlite::{Connection, Statement, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::make::{DAY, HOUR, Log, MINUTE, SHIFT, Shift, Size, badge, row};
use super::names::Dice;

/// A recording that was made in a shift.
pub struct Recorded {
    pub id: String,
    /// Milliseconds.
    pub from: i64,
    pub to: i64,
}

pub struct Rows<'a> {
    volume: String,
    issue: Statement<'a>,
    docking: Statement<'a>,
    recording: Statement<'a>,
    copy: Statement<'a>,
    source: Statement<'a>,
    deadline: Statement<'a>,
    job: Statement<'a>,
    dockings: i64,
}

/// Local time as a file name has it; the catalogue's own times are UTC.
fn local(at: i64) -> chrono::NaiveDateTime {
    chrono::DateTime::from_timestamp_millis(at + 8 * HOUR).expect("a time").naive_utc()
}

fn rfc3339(at: i64) -> String {
    docket::base::clock::rfc3339(chrono::DateTime::from_timestamp_millis(at).expect("a time"))
}

struct File {
    id: String,
    name: String,
    kind: &'static str,
    at: i64,
    length: i64,
    size: i64,
    hash: Vec<u8>,
    facts: String,
}

/// The `i`th file of a shift. Its id sorts by its time, as those of the station do.
fn file(dice: &mut Dice, shift: &Shift, i: u64) -> File {
    let number = shift.number * SHIFT + i;
    let at = shift.day + 8 * HOUR + 30 * MINUTE + row(i) * 40 * MINUTE + row(dice.below(600)) * 1000;
    let id = format!("{:08x}-{:04x}-7000-8000-{number:012x}", at >> 16, at & 0xffff);
    let recorder = shift.recorder_id();
    let (kind, end, length, size) = match dice.below(10) {
        0 => ("photo", "jpg", 0, 3_000_000 + row(dice.below(2_000_000))),
        _ => {
            let length = 60_000 + row(dice.below(1_500_000));
            ("video", "mp4", length, length * 800 + row(dice.below(100_000)))
        }
    };
    let told = local(at);
    let officer = &badge(shift.officer)[4..];
    let mark = if dice.below(40) == 0 { "_IMP" } else { "" };
    let name = format!("DCAM_{recorder}_{officer}_{}{mark}.{end}", told.format("%Y%m%d_%H%M%S"));
    let facts = json!({
        "profile": "dcam",
        "name": { "device": recorder, "officer": officer, "local_time": told.to_string().replace(' ', "T"), "kind": kind },
        "times": { "name": rfc3339(at), "filesystem": rfc3339(at + length), "first_seen": rfc3339(shift.day + 18 * HOUR) },
        "time_rule": "name",
        "flags": [],
    });
    let hash = Sha256::digest(number.to_le_bytes()).to_vec();
    File { id, name, kind, at, length, size, hash, facts: facts.to_string() }
}

impl<'a> Rows<'a> {
    pub fn new(db: &'a Connection) -> Self {
        let volume = db.query_row("SELECT id FROM volume", [], |r| r.get(0)).expect("a volume");
        let prepare = |sql: &str| db.prepare(sql).expect("a statement");
        Self {
            volume,
            issue: prepare(
                "INSERT INTO issue (id, recorder, officer, purpose, issued_at, issued_battery, issued_free, issued_clock,
                   returned_at, returned_docking) VALUES (?1, ?2, ?3, '日常巡查', ?4, 100, 64000000000, 0, ?5, ?6)",
            ),
            docking: prepare(
                "INSERT INTO docking (id, dock, card, recorder, profile, state, started_at, safe_at, ended_at, archived,
                   bytes) VALUES (?1, 'cards', ?2, ?3, 'dcam', 'safe', ?4, ?5, ?6, 10, ?7)",
            ),
            recording: prepare(
                "INSERT INTO recording (id, recorder, docking, state, source_path, size, mtime_ns, sha256, kind, facts, day,
                   taken_at, archived_at, probed, officer)
                 VALUES (?1, ?2, ?3, 'archived', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            ),
            copy: prepare("INSERT INTO copy VALUES (?1, ?2, ?3, 'archived', ?4, 'direct', 1)"),
            source: prepare("INSERT INTO source_file VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            deadline: prepare(
                "INSERT INTO deadline (subject, kind, earliest, latest, reason, recorder, officer, unit, state, met_at,
                   late_by, next_at) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            ),
            job: prepare(
                "INSERT INTO job (recording, docking, recorder, source_path, size, mtime_ns, kind, facts, taken_at, dest,
                   state, planned_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'planned', ?11)",
            ),
            dockings: 0,
        }
    }

    /// A shift from issue to return, or to now where it is today's.
    pub fn shift(&mut self, log: &mut Log<'_>, dice: &mut Dice, shift: &Shift, today: bool) -> Vec<Recorded> {
        let (out, back) = (shift.day + 8 * HOUR, shift.day + 18 * HOUR + row(dice.below(120)) * MINUTE);
        // One in thirty comes back two days late.
        let back = if dice.below(30) == 0 { back + 2 * DAY } else { back };
        let (recorder, actor) = (shift.recorder_id(), format!("officer:{}", badge(shift.officer)));
        let issue = row(shift.number + 1);
        let object = format!("issue:{issue}");
        let details = json!({ "recorder": recorder, "officer": badge(shift.officer), "purpose": "日常巡查" });
        log.add(out, &actor, "issue.issued", object.clone(), details);
        if today {
            self.issue
                .execute(params![issue, recorder, shift.officer, out, None::<i64>, None::<i64>])
                .expect("an issue");
            let due = out + 24 * HOUR;
            let why = "领用后应在 24 小时内接入 / issued, to be docked within 24 h";
            self.deadline
                .execute(params![
                    format!("recorder:{recorder}"),
                    "recorder",
                    due,
                    why,
                    recorder,
                    shift.officer,
                    shift.unit,
                    "running",
                    None::<i64>,
                    None::<i64>,
                    due - 4 * HOUR
                ])
                .expect("a deadline");
            return Vec::new();
        }
        self.dockings += 1;
        let docking = self.dockings;
        let card = format!("/run/docket/cards/{recorder}");
        let object_docking = format!("docking:{docking}");
        let details = json!({ "dock": "cards", "card": card, "recorder": recorder, "profile": "dcam" });
        log.add(back, "daemon", "docking.begun", object_docking.clone(), details);
        log.add(back + 1000, "daemon", "docking.copying", object_docking.clone(), json!({}));
        let mut made = Vec::new();
        let mut bytes = 0;
        for i in 0..SHIFT {
            let file = file(dice, shift, i);
            bytes += file.size;
            self.recording(log, shift, docking, back + row(i + 1) * 20_000, &file);
            made.push(Recorded { id: file.id, from: file.at, to: file.at + file.length });
        }
        let end = back + 5 * MINUTE;
        self.docking
            .execute(params![docking, card.as_bytes(), recorder, back, end, end + HOUR, bytes])
            .expect("a docking");
        log.add(end, "daemon", "docking.safe", object_docking, json!({ "archived": 10, "bytes": bytes }));
        self.issue.execute(params![issue, recorder, shift.officer, out, back, docking]).expect("an issue");
        log.add(end, "daemon", "issue.returned", object, json!({ "docking": docking }));
        made
    }

    fn recording(&mut self, log: &mut Log<'_>, shift: &Shift, docking: i64, archived: i64, file: &File) {
        let recorder = shift.recorder_id();
        let path = format!("DCIM/{}/{}", local(file.at).format("%Y%m%d"), file.name);
        let mtime = (file.at + file.length) * 1_000_000;
        let day = local(file.at).format("%Y-%m-%d").to_string();
        let dest = format!("media/{}/{recorder}/{}_{}", day.replace('-', "/"), file.id, file.name);
        let probed = (file.kind == "video").then(|| {
            format!(
                r#"{{"facts":{{"container":"mov,mp4,m4a,3gp,3g2,mj2","duration_ms":{}}},"flags":[]}}"#,
                file.length
            )
        });
        self.recording
            .execute(params![
                file.id,
                recorder,
                docking,
                path.as_bytes(),
                file.size,
                mtime,
                file.hash,
                file.kind,
                file.facts,
                day,
                file.at,
                archived,
                probed,
                shift.officer
            ])
            .expect("a recording");
        self.copy.execute(params![file.id, self.volume, dest, archived]).expect("a copy");
        self.source
            .execute(params![recorder, path.as_bytes(), file.size, mtime, file.id, docking])
            .expect("a source file");
        let due = file.at + file.length + 24 * HOUR;
        let late = (archived > due).then_some(archived - due);
        let why = format!(
            "it ended at {} by its name and length; 24 hours from then",
            rfc3339(file.at + file.length)
        );
        self.deadline
            .execute(params![
                format!("recording:{}", file.id),
                "recording",
                due,
                why,
                recorder,
                shift.officer,
                shift.unit,
                if late.is_some() { "late" } else { "met" },
                archived,
                late,
                None::<i64>
            ])
            .expect("a deadline");
        let object = format!("recording:{}", file.id);
        let hash = hex(&file.hash);
        let details = json!({ "docking": docking, "path": path, "size": file.size });
        log.add(archived - 3000, "daemon", "recording.planned", object.clone(), details);
        let details = json!({ "sha256": hash, "size": file.size, "volume": "main" });
        log.add(archived - 2000, "daemon", "recording.copied", object.clone(), details);
        log.add(
            archived - 1000,
            "daemon",
            "recording.verified",
            object.clone(),
            json!({ "how": "direct", "volume": "main" }),
        );
        let details = json!({ "path": dest, "sha256": hash, "size": file.size, "volumes": 1 });
        log.add(archived, "daemon", "recording.archived", object, details);
    }

    /// What stands in docks now and waits to be archived: one in a hundred of all, five days' work.
    pub fn waiting(&mut self, log: &mut Log<'_>, dice: &mut Dice, size: &Size) {
        let last = super::make::DAYS * size.shifts_a_day - size.shifts_a_day;
        for i in 0..(size.recordings / 1000).max(1) {
            let mut shift = Shift::of(size, last.saturating_sub(i + 1));
            shift.number += super::make::DAYS * size.shifts_a_day;
            let seen = super::make::TODAY + 9 * HOUR;
            for j in 0..SHIFT {
                let file = file(dice, &shift, j);
                let (recorder, due) = (shift.recorder_id(), file.at + file.length + 24 * HOUR);
                self.job
                    .execute(params![
                        file.id,
                        self.dockings,
                        recorder,
                        format!("DCIM/W/{}", file.name).as_bytes(),
                        file.size,
                        file.at * 1_000_000,
                        file.kind,
                        file.facts,
                        file.at,
                        format!("media/w/{}", file.id),
                        seen
                    ])
                    .expect("a job");
                self.deadline
                    .execute(params![
                        format!("recording:{}", file.id),
                        "recording",
                        due,
                        "by its name",
                        recorder,
                        shift.officer,
                        shift.unit,
                        "running",
                        None::<i64>,
                        None::<i64>,
                        due - 4 * HOUR
                    ])
                    .expect("a deadline");
                let object = format!("recording:{}", file.id);
                log.add(seen, "daemon", "recording.planned", object, json!({ "size": file.size }));
            }
        }
    }
}
