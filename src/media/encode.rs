//! Encodes and muxes the samples with FFmpeg's own encoders.

use std::path::Path;

use chrono::SecondsFormat;
use ffmpeg_next::format::context::Output;
use ffmpeg_next::format::sample::{Sample, Type};
use ffmpeg_next::{ChannelLayout, Dictionary, Packet, Rational, codec, encoder, format, frame, threading};

use super::ff;
use super::sample::{Clip, Pictures};
use super::sidecar::tone;
use crate::base::{Error, Kind, Result, text};

const RATE: u32 = 48_000;

/// How the sound of a clip is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    Aac,
    Pcm,
}

/// What a clip is made of.
pub(super) struct Recipe<'a> {
    pub muxer: &'a str,
    pub movflags: &'a str,
    pub video: codec::Id,
    pub sound: Sound,
    pub title: &'a [u8],
}

/// Writes a whole clip.
pub(super) fn clip(path: &Path, clip: &Clip, recipe: &Recipe<'_>) -> Result<()> {
    let url = url(path)?;
    ff::init();
    write(&url, clip, recipe).map_err(|e| ff::error("make the sample", path, e))
}

/// Writes one picture: the packet of the MJPEG encoder is the file.
pub(super) fn still(path: &Path, clip: &Clip) -> Result<()> {
    ff::init();
    let encode = || {
        let mut encoder = open_video(clip, codec::Id::MJPEG, false)?;
        let mut picture = Pictures::new(clip).draw(0);
        picture.set_format(Pictures::format(codec::Id::MJPEG));
        encoder.send_frame(&picture)?;
        encoder.send_eof()?;
        let mut packet = Packet::empty();
        encoder.receive_packet(&mut packet)?;
        Ok::<_, ffmpeg_next::Error>(packet)
    };
    let packet = encode().map_err(|e| ff::error("make the sample", path, e))?;
    std::fs::write(path, packet.data().unwrap_or_default()).map_err(|e| Error::io("write", path, e))
}

/// A path as FFmpeg takes it: with the protocol, or a colon in a name would be read as one.
fn url(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(path) if !path.contains('\0') => Ok(format!("file:{path}")),
        _ => {
            let what = format!("cannot make a sample at {}: not a UTF-8 name", text::show(path.as_os_str()));
            Err(Error::new(Kind::Media, what))
        }
    }
}

fn write(url: &str, clip: &Clip, recipe: &Recipe<'_>) -> Result<(), ffmpeg_next::Error> {
    let mut out = format::output_as(url, recipe.muxer)?;
    let global = out.format().flags().contains(format::Flags::GLOBAL_HEADER);
    let mut video = Track::add(&mut out, open_video(clip, recipe.video, global)?)?;
    let mut sound = Track::add(&mut out, open_sound(recipe.sound, global)?)?;
    tag(&mut out, clip, recipe.title);
    let mut options = Dictionary::new();
    if !recipe.movflags.is_empty() {
        options.set("movflags", recipe.movflags);
    }
    out.write_header_with(options)?;
    let pictures = Pictures::new(clip);
    let frame = match sound.encoder.frame_size() {
        0 => 1024,
        n => u64::from(n),
    };
    let (mut heard, total) = (0, u64::from(clip.seconds) * u64::from(RATE));
    for n in 0..clip.seconds * clip.fps {
        video.encoder.send_frame(&pictures.draw(n))?;
        video.drain(&mut out)?;
        let due = u64::from(n + 1) * u64::from(RATE) / u64::from(clip.fps);
        while heard < due {
            let next = (heard + frame).min(total);
            sound.encoder.send_frame(&samples(recipe.sound, heard, next))?;
            sound.drain(&mut out)?;
            heard = next;
        }
    }
    video.finish(&mut out)?;
    sound.finish(&mut out)?;
    out.write_trailer()
}

fn tag(out: &mut Output, clip: &Clip, title: &[u8]) {
    let created = clip.start.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true);
    // SAFETY: `out` owns the context; its dictionary is null or its own, and nobody else has it now.
    unsafe {
        let tags = &raw mut (*out.as_mut_ptr()).metadata;
        ff::set_entry(tags, c"title", title);
        ff::set_entry(tags, c"creation_time", created.as_bytes());
    }
}

/// One encoder and its place in the file.
struct Track<E> {
    encoder: E,
    index: usize,
    base: Rational,
    /// Of one packet in `base`; encoders leave it out, and then the last picture has no length.
    length: i64,
}

impl<E: AsRef<codec::Context> + std::ops::DerefMut<Target: std::ops::DerefMut<Target = encoder::Encoder>>>
    Track<E>
{
    fn add(out: &mut Output, encoder: E) -> Result<Self, ffmpeg_next::Error> {
        let mut stream = out.add_stream_with(encoder.as_ref())?;
        let (index, base) = (stream.index(), encoder.as_ref().time_base());
        // A hint; without it the AVI muxer counts in 600ths and pads with empty pictures.
        stream.set_time_base(base);
        // One picture is one tick of its time base; sound packets know their length.
        let length = i64::from(encoder.as_ref().medium() == ffmpeg_next::media::Type::Video);
        Ok(Self { encoder, index, base, length })
    }

    fn drain(&mut self, out: &mut Output) -> Result<(), ffmpeg_next::Error> {
        let mut packet = Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(ffmpeg_next::Error::Eof) => return Ok(()),
                Err(ffmpeg_next::Error::Other { errno: ffmpeg_next::error::EAGAIN }) => return Ok(()),
                Err(e) => return Err(e),
            }
            if packet.duration() == 0 {
                packet.set_duration(self.length);
            }
            packet.set_stream(self.index);
            // The muxer chose its own time base when it wrote the header.
            let base = out.stream(self.index).ok_or(ffmpeg_next::Error::StreamNotFound)?.time_base();
            packet.rescale_ts(self.base, base);
            packet.write_interleaved(out)?;
        }
    }

    fn finish(&mut self, out: &mut Output) -> Result<(), ffmpeg_next::Error> {
        self.encoder.send_eof()?;
        self.drain(out)
    }
}

fn open_video(
    clip: &Clip,
    id: codec::Id,
    global: bool,
) -> Result<encoder::video::Encoder, ffmpeg_next::Error> {
    let found = encoder::find(id).ok_or(ffmpeg_next::Error::EncoderNotFound)?;
    let mut context = codec::Context::new_with_codec(found);
    context.set_threading(threading::Config::kind(threading::Type::Frame));
    if global {
        context.set_flags(codec::Flags::GLOBAL_HEADER);
    }
    let mut video = context.encoder().video()?;
    let fps = i32::try_from(clip.fps).unwrap_or(25);
    video.set_width(clip.width);
    video.set_height(clip.height);
    video.set_format(Pictures::format(id));
    video.set_time_base((1, fps));
    video.set_frame_rate(Some((fps, 1)));
    video.set_gop(clip.fps * 2);
    video.set_max_b_frames(0);
    let mut options = Dictionary::new();
    if id == codec::Id::H264 {
        options.set("preset", "ultrafast");
        options.set("crf", "26");
    } else {
        options.set("qmin", "4");
        options.set("qmax", "4");
    }
    video.open_with(options)
}

fn open_sound(sound: Sound, global: bool) -> Result<encoder::audio::Encoder, ffmpeg_next::Error> {
    let id = if sound == Sound::Aac { codec::Id::AAC } else { codec::Id::PCM_S16LE };
    let found = encoder::find(id).ok_or(ffmpeg_next::Error::EncoderNotFound)?;
    let mut context = codec::Context::new_with_codec(found);
    if global {
        context.set_flags(codec::Flags::GLOBAL_HEADER);
    }
    let mut audio = context.encoder().audio()?;
    audio.set_rate(i32::try_from(RATE).unwrap_or(48_000));
    audio.set_format(layout(sound));
    audio.set_channel_layout(ChannelLayout::MONO);
    audio.set_bit_rate(64_000);
    audio.set_time_base((1, i32::try_from(RATE).unwrap_or(48_000)));
    let mut options = Dictionary::new();
    if sound == Sound::Aac {
        options.set("aac_coder", "fast");
    }
    audio.open_with(options)
}

fn layout(sound: Sound) -> Sample {
    if sound == Sound::Aac { Sample::F32(Type::Planar) } else { Sample::I16(Type::Packed) }
}

/// The tone from sample `from` up to `to`.
fn samples(sound: Sound, from: u64, to: u64) -> frame::Audio {
    let count = usize::try_from(to - from).unwrap_or(0);
    let mut out = frame::Audio::new(layout(sound), count, ChannelLayout::MONO);
    out.set_rate(RATE);
    out.set_pts(i64::try_from(from).ok());
    if sound == Sound::Aac {
        out.plane_mut::<f32>(0).iter_mut().zip(from..to).for_each(|(s, i)| *s = tone(i, RATE));
    } else {
        out.plane_mut::<i16>(0)
            .iter_mut()
            .zip(from..to)
            .for_each(|(s, i)| *s = (tone(i, RATE) * 32767.0) as i16);
    }
    out
}
