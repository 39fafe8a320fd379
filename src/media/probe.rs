//! Reads media facts with FFmpeg. Runs in the child process only; see [`super::worker`].

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::{Dictionary, Rational, Stream, ffi, format, media};

use super::boxes::outline;
use super::facts::{Audio, MediaFacts, Probed, Verdict, Video, tag_text, tag_time};
use super::ff;
use crate::base::{Error, Result};

/// What recorders write. Playlists and the like, which name other files, are not in it.
const FORMATS: &str = "mov,avi,mpegts,mpeg,mpegvideo,matroska,asf,flv,wav,w64,mp3,aac,amr,amrnb,amrwb,ogg,\
    flac,h264,hevc,m4v,mjpeg,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe,tiff_pipe";

/// Below this FFmpeg only guesses what the bytes are.
const LEAST_SCORE: i32 = 25;

/// Reads what a file says about itself.
///
/// # Errors
/// Only where the file cannot be read. One that is no media, or broken, gets a verdict.
pub fn probe(path: &Path) -> Result<Probed> {
    // A FIFO in the place of a file must not hold the child up.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|e| Error::io("open", path, e))?;
    let meta = file.metadata().map_err(|e| Error::io("read", path, e))?;
    if !meta.is_file() {
        return Ok(Probed::unplayable("it is not a regular file"));
    }
    if meta.len() == 0 {
        return Ok(Probed::unplayable("the file is empty"));
    }
    let outline = outline(&file).map_err(|e| Error::io("read", path, e))?;
    let errno = Arc::new(AtomicI32::new(0));
    let opened = open(Source { file, errno: errno.clone() });
    let mut probed = match opened {
        Ok(input) => judge(&input),
        Err(_) if outline.no_index => {
            Probed::unplayable("no index (moov) was written: the recording was cut off; the bytes are kept")
        }
        Err(ffmpeg_next::Error::InvalidData | ffmpeg_next::Error::Other { errno: nix::libc::EINVAL }) => {
            Probed::unplayable("its content is no video, sound or picture that FFmpeg can open")
        }
        Err(e) => Probed::unplayable(format!("FFmpeg cannot open it: {e}")),
    };
    // A bad sector is the disk's fault; it must not become a verdict on the recording.
    let errno = errno.load(Ordering::Relaxed);
    if errno != 0 {
        return Err(Error::io("read", path, io::Error::from_raw_os_error(errno)));
    }
    if let Some(cut) = outline.cut
        && probed.verdict == Verdict::Playable
    {
        probed.verdict = Verdict::CutOff;
        probed.reason = Some(format!("the recording was cut off: {cut}"));
    }
    Ok(probed)
}

/// The opened file as FFmpeg reads it. It gets no path: it can open nothing else, and names in any
/// encoding are fine.
struct Source {
    file: File,
    errno: Arc<AtomicI32>,
}

impl Source {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(e) = &result
            && e.kind() != io::ErrorKind::Interrupted
        {
            self.errno.store(e.raw_os_error().unwrap_or(nix::libc::EIO), Ordering::Relaxed);
        }
        result
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.file.read(buf);
        self.note(result)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Broken files make FFmpeg seek to nonsense; that is no fault of the disk.
        self.file.seek(to)
    }
}

fn open(source: Source) -> Result<Input, ffmpeg_next::Error> {
    ff::init();
    let mut options = Dictionary::new();
    options.set("format_whitelist", FORMATS);
    // No protocol has this name, so no format can follow a reference to another file or host.
    options.set("protocol_whitelist", "none");
    format::input_from_stream(StreamIo::from_read_seek(source)?, None, Some(options))
}

fn judge(input: &Input) -> Probed {
    let mut facts = MediaFacts { container: Some(input.format().name().to_owned()), ..MediaFacts::default() };
    let video = input.streams().best(media::Type::Video);
    let audio = input.streams().best(media::Type::Audio);
    if input.probe_score() < LEAST_SCORE || (video.is_none() && audio.is_none()) {
        return Probed::unplayable("its content is no video, sound or picture that FFmpeg knows for sure");
    }
    let picture = facts.container.as_deref().is_some_and(|name| name.ends_with("_pipe"));
    if !picture {
        facts.duration_ms = duration_ms(input, &mut facts.warnings);
    }
    facts.video = video.as_ref().map(|s| video_of(s, picture));
    facts.audio = audio.as_ref().map(audio_of);
    if facts.video.as_ref().is_some_and(|v| v.width == 0 || v.height == 0) {
        facts.warnings.push("the size of the picture is not known".into());
    }
    let tag = |key: &CStr| {
        let found = tag_of(input, key);
        found.or_else(|| video.as_ref().and_then(|s| stream_tag(s, key)))
    };
    facts.title = tag(c"title");
    facts.location = tag(c"com.apple.quicktime.location.ISO6709").or_else(|| tag(c"location"));
    let maker = tag(c"com.apple.quicktime.make").or_else(|| tag(c"make"));
    let model = tag(c"com.apple.quicktime.model").or_else(|| tag(c"model"));
    let device: Vec<_> = maker.into_iter().chain(model).collect();
    facts.device = (!device.is_empty()).then(|| device.join(" "));
    if let Some(written) = tag(c"creation_time") {
        match tag_time(&written) {
            Some((at, zoneless)) => {
                facts.created = Some(at);
                if zoneless {
                    facts.warnings.push(format!("its time `{written}` names no zone and was read as UTC"));
                }
            }
            None => facts.warnings.push(format!("its time `{written}` cannot be read")),
        }
    }
    Probed { facts, verdict: Verdict::Playable, reason: None }
}

fn duration_ms(input: &Input, warnings: &mut Vec<String>) -> Option<u64> {
    // Negative where FFmpeg does not know it.
    let duration = u64::try_from(input.duration()).ok()?;
    // SAFETY: `input` owns an open context; this only reads a number of it.
    let method = unsafe { ffi::av_fmt_ctx_get_duration_estimation_method(input.as_ptr()) };
    if method == ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE {
        warnings.push("the duration is an estimate from the bit rate".into());
    }
    Some(duration / (u64::from(ffi::AV_TIME_BASE.unsigned_abs()) / 1000))
}

fn video_of(stream: &Stream<'_>, picture: bool) -> Video {
    let parameters = stream.parameters();
    // SAFETY: `parameters` owns the structure; these are plain numbers in it.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    Video {
        codec: parameters.id().name().to_owned(),
        width: u32::try_from(width).unwrap_or(0),
        height: u32::try_from(height).unwrap_or(0),
        frame_rate: if picture { None } else { frame_rate(stream) },
    }
}

/// Pictures counted by the container over its time, else the two guesses of FFmpeg where they agree:
/// the average alone is off by two for H.264 in AVI.
fn frame_rate(stream: &Stream<'_>) -> Option<f64> {
    let value = |r: Rational| (r.numerator() > 0 && r.denominator() > 0).then(|| f64::from(r));
    let base = value(stream.time_base());
    let counted = base.filter(|_| stream.frames() > 1 && stream.duration() > 0);
    let counted = counted.map(|base| stream.frames() as f64 / (stream.duration() as f64 * base));
    let agreed = || {
        let (average, guess) = (value(stream.avg_frame_rate())?, value(stream.rate())?);
        ((average - guess).abs() <= guess * 0.01).then_some(average)
    };
    let likely = |rate: &f64| (0.01..=240.0).contains(rate);
    let rate = counted.filter(likely).or_else(|| agreed().filter(likely))?;
    Some((rate * 1000.0).round() / 1000.0)
}

fn audio_of(stream: &Stream<'_>) -> Audio {
    let parameters = stream.parameters();
    // SAFETY: `parameters` owns the structure; these are plain numbers in it.
    let (rate, channels) =
        unsafe { ((*parameters.as_ptr()).sample_rate, (*parameters.as_ptr()).ch_layout.nb_channels) };
    Audio {
        codec: parameters.id().name().to_owned(),
        sample_rate: u32::try_from(rate).unwrap_or(0),
        channels: u32::try_from(channels).unwrap_or(0),
    }
}

fn tag_of(input: &Input, key: &CStr) -> Option<String> {
    // SAFETY: `input` owns an open context, and nothing changes its dictionary meanwhile.
    tag_text(&unsafe { ff::entry((*input.as_ptr()).metadata, key) }?)
}

fn stream_tag(stream: &Stream<'_>, key: &CStr) -> Option<String> {
    // SAFETY: the stream borrows its open context, and nothing changes its dictionary meanwhile.
    tag_text(&unsafe { ff::entry((*stream.as_ptr()).metadata, key) }?)
}
