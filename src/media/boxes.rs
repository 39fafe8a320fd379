//! What a container promises at its outermost level, held against the size of the file.
//!
//! FFmpeg opens an MP4 whose index stands in front and reports the full length even where the rest
//! is missing; only the sizes of the outer boxes give that away.

use std::fs::File;
use std::io;

use crate::base::durable_fs::read_at;

/// Files with more boxes than this are read no further.
const MOST: usize = 10_000;

/// One outer box of an MP4 or MOV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxAt {
    /// Its four letters.
    pub kind: [u8; 4],
    /// Where it starts.
    pub start: u64,
    /// Where it should end; past the file's end where the file was cut off.
    pub end: u64,
}

/// What the outside of a file tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// An MP4 or MOV without any index: FFmpeg cannot open it.
    pub no_index: bool,
    /// What is missing at the end, in words.
    pub cut: Option<String>,
}

/// The outer boxes in their order; empty where the file does not start like an MP4 or MOV.
///
/// # Errors
/// What reading the file says.
pub fn boxes(file: &File) -> io::Result<Vec<BoxAt>> {
    let len = file.metadata()?.len();
    let mut out: Vec<BoxAt> = Vec::new();
    let mut start = 0_u64;
    while len.saturating_sub(start) >= 8 && out.len() < MOST {
        let mut head = [0; 16];
        let got = read_at(file, &mut head, start)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let known = if out.is_empty() { may_be_first(kind) } else { is_name(kind) };
        // Recorders fill files up with zeros; what follows the last named box is not ours to judge.
        if got < 8 || !known {
            break;
        }
        let [.., e, f, g, h, i, j, k, l] = head;
        let (size, least) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (len - start, 8),
            1 if got == 16 => (u64::from_be_bytes([e, f, g, h, i, j, k, l]), 16),
            size => (u64::from(size), 8),
        };
        if size < least {
            break;
        }
        let end = start.saturating_add(size);
        out.push(BoxAt { kind, start, end });
        start = end;
    }
    Ok(out)
}

/// Holds the promises of MP4, MOV, AVI and WAV files against their size.
///
/// # Errors
/// What reading the file says.
pub fn outline(file: &File) -> io::Result<Outline> {
    let len = file.metadata()?.len();
    if let Some(cut) = riff(file, len)? {
        return Ok(Outline { no_index: false, cut });
    }
    let boxes = boxes(file)?;
    let no_index = !boxes.is_empty() && !boxes.iter().any(|b| matches!(&b.kind, b"moov" | b"moof"));
    let cut = boxes.iter().find(|b| b.end > len).map(|b| {
        let name = String::from_utf8_lossy(&b.kind).into_owned();
        format!("its part `{}` ends {} bytes after the end of the file", name.trim(), b.end - len)
    });
    Ok(Outline { no_index, cut })
}

/// The outer value is `None` where it is no RIFF file.
fn riff(file: &File, len: u64) -> io::Result<Option<Option<String>>> {
    /// Writers disagree on whether the size counts its own header.
    const SLACK: u64 = 8;
    let mut head = [0; 12];
    let got = read_at(file, &mut head, 0)?;
    let [b'R', b'I', b'F', b'F', a, b, c, d, form @ ..] = head else { return Ok(None) };
    if got < head.len() || !matches!(&form, b"AVI " | b"WAVE") {
        return Ok(None);
    }
    Ok(Some(match u32::from_le_bytes([a, b, c, d]) {
        0 => Some("its header was never finished".into()),
        // What writers put there that cannot go back to it.
        u32::MAX => None,
        size => {
            let end = u64::from(size) + 8;
            (end > len + SLACK)
                .then(|| format!("its header promises {} bytes more than there are", end - len))
        }
    }))
}

fn is_name(kind: [u8; 4]) -> bool {
    kind.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | 0xa9))
}

fn may_be_first(kind: [u8; 4]) -> bool {
    const FIRST: [&[u8; 4]; 9] =
        [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx"];
    FIRST.contains(&&kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn outline_of(parts: &[&[u8]]) -> Outline {
        outline(&file_of(&parts.concat())).unwrap()
    }

    #[test]
    fn whole_cut_and_unindexed() {
        let (ftyp, moov) = (&b"\0\0\0\x0cftypisom"[..], &b"\0\0\0\x08moov"[..]);
        assert_eq!(outline_of(&[ftyp, moov, b"\0\0\0\x0amdatxx"]), Outline::default());
        assert_eq!(outline_of(&[ftyp, moov, b"\0\0\0\0mdatany length"]), Outline::default());
        assert_eq!(outline_of(&[ftyp, moov, &[0; 64]]), Outline::default());
        let cut = outline_of(&[ftyp, moov, b"\0\0\0\x10mdatxx"]);
        assert_eq!(cut.cut.unwrap(), "its part `mdat` ends 6 bytes after the end of the file");
        let large = outline_of(&[ftyp, moov, b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"]);
        assert!(large.cut.is_some());
        assert!(outline_of(&[ftyp, b"\0\0\0\x10mdatxx"]).no_index);
        assert_eq!(outline_of(&[b"just a text, nothing else"]), Outline::default());
    }

    #[test]
    fn avi_and_wav_headers() {
        let avi = |size: u32| [b"RIFF".as_slice(), &size.to_le_bytes(), b"AVI LIST0000"].concat();
        assert_eq!(outline_of(&[&avi(12)]), Outline::default());
        assert_eq!(outline_of(&[&avi(u32::MAX)]), Outline::default());
        assert!(outline_of(&[&avi(0)]).cut.is_some());
        assert!(outline_of(&[&avi(500)]).cut.is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_a_panic(start in 0_usize..4, bytes: Vec<u8>) {
            let heads: [&[u8]; 4] = [b"", b"\0\0\0\x0cftypisom", b"\0\0\0\x01mdat", b"RIFF"];
            let file = file_of(&[heads[start], &bytes].concat());
            prop_assert!(outline(&file).is_ok());
        }
    }
}
