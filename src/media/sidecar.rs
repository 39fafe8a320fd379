//! Sample files beside the clips that need no encoder: a WAV sound, a GPS track, a cut-off clip.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use chrono::{DateTime, Duration, FixedOffset, Utc};

use super::boxes::boxes;
use crate::base::{Error, Kind, Result, text};

/// Samples per second of [`wav`].
pub const WAV_RATE: u32 = 16_000;

/// A loudness of the sample tone, 440 Hz, -12 dB.
pub(super) fn tone(sample: u64, rate: u32) -> f32 {
    // A whole number of seconds is a whole number of waves: the phase stays exact in any long clip.
    let phase = (sample * 440 % u64::from(rate)) as f32 / rate as f32;
    0.25 * (phase * std::f32::consts::TAU).sin()
}

fn written(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let file = File::create(path).map_err(|e| Error::io("create", path, e))?;
    let mut out = BufWriter::new(file);
    write(&mut out).and_then(|()| out.flush()).map_err(|e| Error::io("write", path, e))
}

/// A voice note: mono, 16 bit, a tone.
///
/// # Errors
/// Where the file cannot be written.
pub fn wav(path: &Path, seconds: u32) -> Result<()> {
    let samples = u64::from(seconds) * u64::from(WAV_RATE);
    let Some(size) = u32::try_from(samples * 2).ok().filter(|size| *size < u32::MAX - 36) else {
        return Err(Error::new(Kind::Invalid, format!("a WAV file cannot hold {seconds} s")));
    };
    written(path, |out| {
        out.write_all(b"RIFF")?;
        out.write_all(&(size + 36).to_le_bytes())?;
        out.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0")?;
        out.write_all(&WAV_RATE.to_le_bytes())?;
        out.write_all(&(WAV_RATE * 2).to_le_bytes())?;
        out.write_all(b"\x02\0\x10\0data")?;
        out.write_all(&size.to_le_bytes())?;
        (0..samples).try_for_each(|i| out.write_all(&((tone(i, WAV_RATE) * 32767.0) as i16).to_le_bytes()))
    })
}

/// A GPS track as recorders write it beside a clip: one `$GPRMC` line a second, in UTC.
///
/// # Errors
/// Where the file cannot be written.
pub fn nmea(path: &Path, start: DateTime<FixedOffset>, seconds: u32) -> Result<()> {
    written(path, |out| {
        for second in 0..seconds {
            let at = start.to_utc() + Duration::seconds(second.into());
            out.write_all(rmc(at, second).as_bytes())?;
        }
        Ok(())
    })
}

/// A walk to the north-east at three knots, in minutes of arc.
fn rmc(at: DateTime<Utc>, second: u32) -> String {
    let step = f64::from(second % 10_000) * 0.0005;
    let (day, time) = (at.format("%d%m%y"), at.format("%H%M%S"));
    let body =
        format!("GPRMC,{time}.00,A,39{:07.4},N,116{:07.4},E,3.0,45.0,{day},,,A", 54.2 + step, 23.4 + step);
    let sum = body.bytes().fold(0, |sum, b| sum ^ b);
    format!("${body}*{sum:02X}\r\n")
}

/// Copies an MP4 up to its index: what a recorder leaves behind whose battery was pulled.
///
/// # Errors
/// [`Kind::Media`] where the index does not stand behind the media.
pub fn without_index(from: &Path, to: &Path) -> Result<()> {
    let source = File::open(from).map_err(|e| Error::io("open", from, e))?;
    let boxes = boxes(&source).map_err(|e| Error::io("read", from, e))?;
    let place = |kind: &[u8; 4]| boxes.iter().find(|b| &b.kind == kind).map(|b| b.start);
    let (Some(media), Some(index)) = (place(b"mdat"), place(b"moov")) else {
        let what = format!("{} has no index to leave out", text::show(from.as_os_str()));
        return Err(Error::new(Kind::Media, what));
    };
    if index < media {
        let what = format!("the index of {} stands in front of its media", text::show(from.as_os_str()));
        return Err(Error::new(Kind::Media, what).next("make the clip with `Index::AtEnd`"));
    }
    written(to, |out| io::copy(&mut source.take(index), out).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_has_right_checksums_and_times() {
        let at = DateTime::parse_from_rfc3339("2026-11-23T00:00:00+08:00").unwrap();
        let line = rmc(at.to_utc(), 0);
        assert_eq!(line, "$GPRMC,160000.00,A,3954.2000,N,11623.4000,E,3.0,45.0,221126,,,A*65\r\n");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gps");
        nmea(&path, at, 3).unwrap();
        let track = std::fs::read_to_string(path).unwrap();
        assert_eq!(track.lines().count(), 3);
        assert!(track.starts_with(&line));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let e = wav(Path::new("/nowhere/a.wav"), 1).unwrap_err();
        assert!(e.what().contains("/nowhere/a.wav"), "{e}");
        assert_eq!(wav(Path::new("/nowhere/a.wav"), u32::MAX).unwrap_err().kind(), Kind::Invalid);
    }
}
