//! Real recordings for the demo and the tests: a moving picture with a burnt-in clock, and a tone.

use std::path::Path;

use chrono::{DateTime, Duration, FixedOffset};
use ffmpeg_next::{codec, format::Pixel};

use super::digits::Plane;
use super::encode::{Recipe, Sound, clip, still};
use crate::base::{Error, Kind, Result};

/// What a sample recording shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// How long it is.
    pub seconds: u32,
    /// In pixels; even.
    pub width: u32,
    /// In pixels; even.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
    /// Burnt in beside the clock, and the title of the container. Capitals, digits and `-:./_` show.
    pub label: String,
    /// What the burnt-in clock shows first, in this offset; also the container's creation time.
    pub start: DateTime<FixedOffset>,
}

/// Where an MP4 keeps its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// In front: cut off, it still opens.
    AtStart,
    /// Behind the media, as recorders write it: cut off, it does not open.
    AtEnd,
}

/// An MP4 with H.264 and AAC.
///
/// # Errors
/// [`Kind::Media`] where FFmpeg refuses, naming the file.
pub fn mp4(path: &Path, c: &Clip, index: Index) -> Result<()> {
    tagged_mp4(path, c, index, c.label.as_bytes())
}

/// An MP4 whose title is written byte by byte: recorders write GBK there.
///
/// # Errors
/// [`Kind::Media`] where FFmpeg refuses, naming the file.
pub fn tagged_mp4(path: &Path, c: &Clip, index: Index, title: &[u8]) -> Result<()> {
    let flags = if index == Index::AtStart { "+faststart" } else { "" };
    let recipe = Recipe { muxer: "mp4", movflags: flags, video: codec::Id::H264, sound: Sound::Aac, title };
    checked(c)?;
    clip(path, c, &recipe)
}

/// An AVI with MPEG-4 part 2 and PCM, as older recorders make it.
///
/// # Errors
/// [`Kind::Media`] where FFmpeg refuses, naming the file.
pub fn avi(path: &Path, c: &Clip) -> Result<()> {
    let (video, title) = (codec::Id::MPEG4, c.label.as_bytes());
    checked(c)?;
    clip(path, c, &Recipe { muxer: "avi", movflags: "", video, sound: Sound::Pcm, title })
}

/// An MPEG transport stream with H.264 and AAC.
///
/// # Errors
/// [`Kind::Media`] where FFmpeg refuses, naming the file.
pub fn ts(path: &Path, c: &Clip) -> Result<()> {
    let (video, title) = (codec::Id::H264, c.label.as_bytes());
    checked(c)?;
    clip(path, c, &Recipe { muxer: "mpegts", movflags: "", video, sound: Sound::Aac, title })
}

/// A photo with the same picture and clock.
///
/// # Errors
/// [`Kind::Media`] where FFmpeg refuses, naming the file.
pub fn jpeg(path: &Path, width: u32, height: u32, label: &str, time: DateTime<FixedOffset>) -> Result<()> {
    let c = Clip { seconds: 1, width, height, fps: 1, label: label.to_owned(), start: time };
    checked(&c)?;
    still(path, &c)
}

fn checked(c: &Clip) -> Result<()> {
    let fine = |n: u32| (16..=4096).contains(&n) && n.is_multiple_of(2);
    if fine(c.width) && fine(c.height) && (1..=240).contains(&c.fps) && (1..=86_400).contains(&c.seconds) {
        return Ok(());
    }
    let (Clip { width, height, fps, seconds, .. }, limits) =
        (c, "even sizes of 16 to 4096, 1 to 240 pictures");
    let what =
        format!("no sample of {width}x{height}, {fps} pictures a second, {seconds} s: {limits}, one day");
    Err(Error::new(Kind::Invalid, what))
}

/// The pictures of a clip, one after the other.
pub(super) struct Pictures<'a> {
    clip: &'a Clip,
    backdrop: Vec<u8>,
    /// What a small sensor adds by itself; without it footage would be unreally small.
    grain: Vec<u8>,
}

/// Pixels by which the grain is shifted at most from picture to picture.
const SHIFTS: usize = 8191;

impl<'a> Pictures<'a> {
    pub fn new(clip: &'a Clip) -> Self {
        let (width, height) = (clip.width as usize, clip.height as usize);
        let shade = |i: usize| 40 + (120 * (i % width) / width + 60 * (i / width) / height) as u8;
        let grain = |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as u8;
        Self {
            clip,
            backdrop: (0..width * height).map(shade).collect(),
            grain: (0..width * height + SHIFTS).map(grain).collect(),
        }
    }

    /// How a codec wants the colours.
    pub fn format(video: codec::Id) -> Pixel {
        if video == codec::Id::MJPEG { Pixel::YUVJ420P } else { Pixel::YUV420P }
    }

    /// Picture number `n`: a still backdrop, a wandering block, the clock, the label.
    pub fn draw(&self, n: u32) -> ffmpeg_next::frame::Video {
        let c = self.clip;
        let mut frame = ffmpeg_next::frame::Video::new(Pixel::YUV420P, c.width, c.height);
        for plane in 1..frame.planes() {
            frame.data_mut(plane).fill(if plane == 1 { 112 } else { 140 });
        }
        let (width, height, stride) = (c.width as usize, c.height as usize, frame.stride(0));
        let mut plane = Plane { bytes: frame.data_mut(0), stride, width, height };
        let grain = &self.grain[n as usize * 2741 % SHIFTS..];
        let rows = self.backdrop.chunks(width).zip(grain.chunks(width));
        for (row, (backdrop, grain)) in plane.bytes.chunks_mut(stride).zip(rows) {
            for ((to, shade), grain) in row.iter_mut().zip(backdrop).zip(grain) {
                *to = shade + grain;
            }
        }
        let (side, step) = (height / 6, n as usize * width / (c.fps as usize * 4));
        plane.fill(step % width, height / 2, side, side, 210);
        let scale = (width / 320).max(1);
        let at = c.start + Duration::milliseconds(i64::from(n) * 1000 / i64::from(c.fps));
        plane.text(4 * scale, 4 * scale, scale, &at.format("%Y-%m-%d %H:%M:%S").to_string());
        plane.text(4 * scale, height.saturating_sub(13 * scale), scale, &c.label);
        frame.set_pts(Some(n.into()));
        frame
    }
}
