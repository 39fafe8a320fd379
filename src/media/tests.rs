//! Samples made by our encoders, read by our probe.

use std::path::{Path, PathBuf};

use chrono::DateTime;

use super::facts::{Probed, Verdict};
use super::probe::probe;
use super::sample::{Clip, Index, avi, jpeg, mp4, tagged_mp4, ts};
use super::sidecar::{wav, without_index};

fn clip() -> Clip {
    let start = DateTime::parse_from_rfc3339("2026-11-23T09:14:07+08:00").unwrap();
    Clip { seconds: 2, width: 320, height: 180, fps: 15, label: "BWC-0042".into(), start }
}

fn in_dir(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    (dir, path)
}

fn check(probed: &Probed, codecs: (&str, &str), millis: u64) {
    assert_eq!((probed.verdict, &probed.reason), (Verdict::Playable, &None), "{probed:?}");
    let (video, audio) = (probed.facts.video.as_ref().unwrap(), probed.facts.audio.as_ref().unwrap());
    assert_eq!((video.codec.as_str(), audio.codec.as_str()), codecs);
    assert_eq!((video.width, video.height), (320, 180));
    assert!((video.frame_rate.unwrap() - 15.0).abs() < 0.1, "{video:?}");
    assert_eq!((audio.sample_rate, audio.channels), (48_000, 1));
    assert!(probed.facts.duration_ms.unwrap().abs_diff(millis) <= 200, "{probed:?}");
}

fn unplayable(path: &Path) -> String {
    let probed = probe(path).unwrap();
    assert_eq!(probed.verdict, Verdict::Unplayable, "{probed:?}");
    probed.reason.unwrap()
}

#[test]
fn an_mp4_says_what_was_put_in() {
    for index in [Index::AtEnd, Index::AtStart] {
        let (_dir, path) = in_dir("a.mp4");
        mp4(&path, &clip(), index).unwrap();
        let probed = probe(&path).unwrap();
        check(&probed, ("h264", "aac"), 2000);
        assert_eq!(probed.facts.created, Some(clip().start.to_utc()));
        assert_eq!(probed.facts.title.as_deref(), Some("BWC-0042"));
        assert!(probed.facts.warnings.is_empty(), "{probed:?}");
    }
}

#[test]
fn an_avi_and_a_transport_stream() {
    let (dir, path) = in_dir("a.avi");
    avi(&path, &clip()).unwrap();
    let probed = probe(&path).unwrap();
    check(&probed, ("mpeg4", "pcm_s16le"), 2000);
    assert_eq!(probed.facts.title.as_deref(), Some("BWC-0042"));
    let path = dir.path().join("a.ts");
    ts(&path, &clip()).unwrap();
    check(&probe(&path).unwrap(), ("h264", "aac"), 2000);
}

#[test]
fn a_photo_has_a_size_and_no_duration() {
    let (_dir, path) = in_dir("a.jpg");
    jpeg(&path, 640, 480, "PHOTO", clip().start).unwrap();
    let probed = probe(&path).unwrap();
    assert_eq!(probed.verdict, Verdict::Playable);
    let video = probed.facts.video.unwrap();
    assert_eq!((video.codec.as_str(), video.width, video.height), ("mjpeg", 640, 480));
    assert_eq!((video.frame_rate, probed.facts.duration_ms, probed.facts.audio), (None, None, None));
}

#[test]
fn a_voice_note() {
    let (_dir, path) = in_dir("a.wav");
    wav(&path, 3).unwrap();
    let probed = probe(&path).unwrap();
    assert_eq!((probed.verdict, probed.facts.duration_ms), (Verdict::Playable, Some(3000)));
    assert_eq!(probed.facts.audio.unwrap().codec, "pcm_s16le");
}

#[test]
fn a_clip_without_its_index_does_not_play_and_says_why() {
    let (dir, path) = in_dir("a.mp4");
    mp4(&path, &clip(), Index::AtEnd).unwrap();
    let cut = dir.path().join("cut.mp4");
    without_index(&path, &cut).unwrap();
    assert!(unplayable(&cut).contains("no index (moov) was written: the recording was cut off"));
    mp4(&path, &clip(), Index::AtStart).unwrap();
    assert!(without_index(&path, &cut).unwrap_err().what().contains("stands in front"));
    wav(&path, 1).unwrap();
    assert!(without_index(&path, &cut).is_err());
}

#[test]
fn clips_cut_behind_their_index_are_cut_off() {
    let (dir, path) = in_dir("a.mp4");
    mp4(&path, &clip(), Index::AtStart).unwrap();
    let other = dir.path().join("a.avi");
    avi(&other, &clip()).unwrap();
    for path in [path, other] {
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() * 6 / 10).unwrap();
        let probed = probe(&path).unwrap();
        assert_eq!(probed.verdict, Verdict::CutOff, "{probed:?}");
        assert!(probed.reason.unwrap().contains("was cut off"));
        assert!(probed.facts.video.is_some());
    }
}

#[test]
fn what_is_no_media_gets_a_verdict() {
    let (dir, path) = in_dir("a.mp4");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(unplayable(&path), "the file is empty");
    assert_eq!(unplayable(dir.path()), "it is not a regular file");
    std::fs::write(&path, "a note about a recording\n".repeat(500)).unwrap();
    unplayable(&path);
    std::fs::write(&path, vec![0; 100_000]).unwrap();
    unplayable(&path);
    let mut state = 7_u64;
    for _ in 0..20 {
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        let noise: Vec<u8> = noise.take(50_000).collect();
        std::fs::write(&path, noise).unwrap();
        unplayable(&path);
    }
    assert!(probe(&dir.path().join("missing")).is_err());
}

#[test]
fn a_fifo_does_not_hold_the_child_up() {
    let (_dir, path) = in_dir("a.mp4");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(unplayable(&path), "it is not a regular file");
}

#[test]
fn a_title_in_gbk_reads_as_chinese() {
    let (_dir, path) = in_dir("a.mp4");
    let (title, _, _) = encoding_rs::GBK.encode("执法记录 张三");
    tagged_mp4(&path, &clip(), Index::AtEnd, &title).unwrap();
    assert!(std::fs::read(&path).unwrap().windows(title.len()).any(|w| w == &*title));
    assert_eq!(probe(&path).unwrap().facts.title.as_deref(), Some("执法记录 张三"));
}

#[test]
fn playlists_open_no_other_file() {
    let (dir, path) = in_dir("a.ts");
    ts(&path, &clip()).unwrap();
    let list = dir.path().join("list");
    let lists = [
        format!("ffconcat version 1.0\nfile '{}'\n", path.display()),
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n", path.display()),
    ];
    for text in lists {
        std::fs::write(&list, text).unwrap();
        unplayable(&list);
    }
}

#[test]
fn names_in_any_encoding_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let (dir, path) = in_dir("a.mp4");
    mp4(&path, &clip(), Index::AtEnd).unwrap();
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"concat:\xd6\xb4\xb7\xa8.mp4"));
    std::fs::rename(path, &odd).unwrap();
    assert_eq!(probe(&odd).unwrap().verdict, Verdict::Playable);
    assert!(mp4(&odd, &clip(), Index::AtEnd).is_err());
}

#[test]
fn cut_and_damaged_clips_never_panic() {
    let (dir, path) = in_dir("a.mp4");
    mp4(&path, &clip(), Index::AtStart).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let broken = dir.path().join("broken");
    for i in 0..40 {
        let mut bytes = whole.clone();
        if i % 2 == 0 {
            bytes.truncate(whole.len() * i / 40);
        } else {
            bytes[i * 61..i * 61 + 40].fill(0xff);
        }
        std::fs::write(&broken, bytes).unwrap();
        probe(&broken).unwrap();
    }
}

#[test]
fn clips_of_impossible_sizes_are_refused() {
    let (_dir, path) = in_dir("a.mp4");
    for (width, height, fps) in [(0, 180, 15), (321, 180, 15), (320, 9000, 15), (320, 180, 0)] {
        assert!(mp4(&path, &Clip { width, height, fps, ..clip() }, Index::AtEnd).is_err());
    }
    assert!(
        mp4(Path::new("/nowhere/a.mp4"), &clip(), Index::AtEnd)
            .unwrap_err()
            .what()
            .contains("/nowhere/a.mp4")
    );
}
