//! The cards of the demo: three families of recorders, with what field cards really hold.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, Duration, DurationRound, FixedOffset, Local, Utc};

use crate::base::clock::rfc3339;
use crate::base::{Cancel, Error, Kind, Result};
use crate::media::sample::{self, Clip, Index};
use crate::media::sidecar;

/// Their folders.
pub const NAMES: [&str; 3] = ["T0001207", "ZFY-0207", "ZFY-0318"];

type Maker = fn(&Path, DateTime<FixedOffset>) -> Result<()>;

/// How many hours ago the footage of each begins: the third comes too late.
const AGES: [i64; 3] = [5, 5, 32];

/// Makes the cards in a folder. Returns when the footage of each begins, and whether they were made now.
pub fn make(drawer: &Path, cancel: &Cancel) -> Result<(Vec<DateTime<Utc>>, bool)> {
    // Named last: a card that is there is whole.
    let done = drawer.join("complete");
    if let Ok(known) = std::fs::read_to_string(&done) {
        let began: Vec<_> = known.lines().filter_map(|line| line.parse().ok()).collect();
        if began.len() == NAMES.len() {
            return Ok((began, false));
        }
    }
    let makers: [Maker; 3] = [dcam, camera, date_folders];
    let now = Local::now();
    let mut began = Vec::new();
    for ((name, maker), age) in NAMES.iter().zip(makers).zip(AGES) {
        cancel.check()?;
        let card = drawer.join(name);
        if card.exists() {
            std::fs::remove_dir_all(&card).map_err(|e| Error::io("remove", &card, e))?;
        }
        // File names know whole seconds.
        let start = (now - Duration::hours(age)).duration_trunc(Duration::seconds(1)).unwrap_or(now);
        maker(&card, start.fixed_offset())?;
        began.push(start.to_utc());
    }
    let lines: String = began.iter().map(|at| format!("{}\n", rfc3339(*at))).collect();
    std::fs::write(&done, lines).map_err(|e| Error::io("write", &done, e))?;
    Ok((began, true))
}

fn folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io("create", path, e))
}

fn write(path: &Path, content: &[u8], at: DateTime<FixedOffset>) -> Result<()> {
    std::fs::write(path, content).map_err(|e| Error::io("write", path, e))?;
    stamp(path, at)
}

/// Gives a file the time that the recorder would have given it: the end of the recording.
fn stamp(path: &Path, at: DateTime<FixedOffset>) -> Result<()> {
    let times = FileTimes::new().set_modified(SystemTime::from(at));
    let file = File::options().append(true).open(path);
    file.and_then(|f| f.set_times(times)).map_err(|e| Error::io("stamp", path, e))
}

fn clip(seconds: u32, label: &str, start: DateTime<FixedOffset>) -> Clip {
    Clip { seconds, width: 1280, height: 720, fps: 25, label: label.to_owned(), start }
}

fn after(start: DateTime<FixedOffset>, seconds: u32) -> DateTime<FixedOffset> {
    start + Duration::seconds(seconds.into())
}

/// `DCAM_<device>_<officer>_<date>_<time>`: two segments of one take, one marked important, one cut off.
fn dcam(card: &Path, start: DateTime<FixedOffset>) -> Result<()> {
    let dir = card.join("DCIM").join(start.format("%Y%m%d").to_string());
    folder(&dir)?;
    let name = |at: DateTime<FixedOffset>, tail: &str| {
        dir.join(format!("DCAM_T0001207_100231_{}{tail}", at.format("%Y%m%d_%H%M%S")))
    };
    let (first, second) = (start, after(start, 12));
    for (at, tail) in [(first, ""), (second, "_IMP")] {
        let path = name(at, &format!("{tail}.mp4"));
        sample::mp4(&path, &clip(12, "T0001207", at), Index::AtEnd)?;
        stamp(&path, after(at, 12))?;
        let gps = name(at, ".gps");
        sidecar::nmea(&gps, at, 12)?;
        stamp(&gps, after(at, 12))?;
    }
    let third = after(start, 1800);
    let (whole, cut) = (card.join("whole.mp4"), name(third, ".mp4"));
    sample::mp4(&whole, &clip(6, "T0001207", third), Index::AtEnd)?;
    sidecar::without_index(&whole, &cut)?;
    std::fs::remove_file(&whole).map_err(|e| Error::io("remove", &whole, e))?;
    stamp(&cut, after(third, 6))?;
    let photo = name(after(start, 2000), ".jpg");
    sample::jpeg(&photo, 1280, 720, "T0001207", after(start, 2000))?;
    stamp(&photo, after(start, 2000))?;
    let log =
        format!("{} power on\n{} battery pulled\n", start.format("%F %T"), after(third, 6).format("%F %T"));
    write(&card.join("DCIM").join("system.log"), log.as_bytes(), after(third, 6))
}

/// `DCIM/100MEDIA`: an AVI, photos (one with a Chinese name), a voice note, a desktop's leavings.
fn camera(card: &Path, start: DateTime<FixedOffset>) -> Result<()> {
    let dir = card.join("DCIM").join("100MEDIA");
    folder(&dir)?;
    let avi = dir.join("MOVI0001.avi");
    sample::avi(&avi, &clip(8, "ZFY-0207", start))?;
    stamp(&avi, after(start, 8))?;
    for (name, later) in [("PICT0002.jpg", 60), ("现场勘验 02号点.jpg", 95)] {
        let at = after(start, later);
        sample::jpeg(&dir.join(name), 1280, 720, "ZFY-0207", at)?;
        stamp(&dir.join(name), at)?;
    }
    let note = dir.join("VOICE003.wav");
    sidecar::wav(&note, 5)?;
    stamp(&note, after(start, 300))?;
    write(&dir.join("Thumbs.db"), b"left by a desktop", after(start, 400))
}

/// A folder for each day: MPEG-TS, a GPS track, and a recording that never got its first byte.
fn date_folders(card: &Path, start: DateTime<FixedOffset>) -> Result<()> {
    let dir = card.join(start.format("%Y-%m-%d").to_string());
    folder(&dir)?;
    let at = after(start, 5400);
    let ts = dir.join(format!("{}.ts", at.format("%H%M%S")));
    sample::ts(&ts, &clip(8, "ZFY-0318", at))?;
    stamp(&ts, after(at, 8))?;
    let gps = dir.join(format!("{}.gps", at.format("%H%M%S")));
    sidecar::nmea(&gps, at, 8)?;
    stamp(&gps, after(at, 8))?;
    let empty = after(at, 60);
    write(&dir.join(format!("{}.ts", empty.format("%H%M%S"))), b"", empty)?;
    if std::fs::read_dir(&dir).map_err(|e| Error::io("list", &dir, e))?.count() < 3 {
        return Err(Error::new(Kind::Invalid, format!("{} is not whole", dir.display()))
            .next("remove it and try again"));
    }
    Ok(())
}
