//! Reading and writing past the page cache: a large copy then costs no second copy in memory, and
//! leaves nothing behind that a later sync has to wait for.

use std::fs::File;
use std::io::{self, IoSlice};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::uio::pwritev;

use super::durable_fs::start_writeback;
use super::failpoint::{self, Op};

/// Shorter writes go through the page cache, where many of them share a sync.
const DIRECT_FROM: usize = 128 << 10;
/// Writing out is started in steps of this many bytes, so that a sync finds little left to do.
const WRITEBACK: u64 = 8 << 20;

/// A buffer aligned for direct I/O.
pub struct AlignedBuf {
    raw: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Direct I/O wants the logical block size, at most 4 KiB on common media.
    pub const ALIGN: usize = 4096;

    /// `len` bytes; a multiple of [`Self::ALIGN`].
    pub fn new(len: usize) -> Self {
        let raw = vec![0; len + Self::ALIGN];
        let start = raw.as_ptr().align_offset(Self::ALIGN);
        Self { raw, start, len }
    }

    /// The aligned bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.raw[self.start..self.start + self.len]
    }

    /// The aligned bytes, to be filled.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.raw[self.start..self.start + self.len]
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Untried,
    Direct,
    Buffered,
}

/// A file that is written from some offset to its end, past the page cache where that can be.
pub struct Output {
    file: File,
    mode: Mode,
    /// Bytes whose writing out was asked for, and bytes written, where the page cache holds them.
    started: u64,
    written: u64,
}

impl Output {
    /// Goes on with `file` at `offset`.
    pub fn new(file: File, offset: u64) -> Self {
        Self { file, mode: Mode::Untried, started: offset, written: offset }
    }

    /// The file, to sync it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes all of `blocks`, one behind the other, at `offset`, which is where the last call ended.
    /// Blocks of [`AlignedBuf`]s, filled to a multiple of its alignment, go straight to the medium.
    pub fn write(&mut self, blocks: &[&[u8]], offset: u64) -> io::Result<()> {
        failpoint::io(Op::Write)?;
        let aligned = blocks.iter().all(|b| {
            b.len().is_multiple_of(AlignedBuf::ALIGN) && b.as_ptr().addr().is_multiple_of(AlignedBuf::ALIGN)
        });
        let len: usize = blocks.iter().map(|b| b.len()).sum();
        let fits = aligned && offset.is_multiple_of(AlignedBuf::ALIGN as u64);
        if self.mode == Mode::Untried {
            self.set_direct(fits && len >= DIRECT_FROM);
        }
        if self.mode == Mode::Direct && !fits {
            self.set_direct(false);
        }
        let mut done = write_all(&self.file, blocks, offset);
        if self.mode == Mode::Direct
            && done.as_ref().is_err_and(|e| e.raw_os_error() == Some(nix::libc::EINVAL))
        {
            // Some file systems accept the flag and refuse the write.
            self.set_direct(false);
            done = write_all(&self.file, blocks, offset);
        }
        done?;
        self.written = offset + len as u64;
        if self.mode == Mode::Direct {
            self.started = self.written;
        } else if self.written - self.started >= WRITEBACK {
            self.start_writeback();
        }
        Ok(())
    }

    fn start_writeback(&mut self) {
        start_writeback(&self.file, self.started, self.written - self.started);
        self.started = self.written;
    }

    fn set_direct(&mut self, on: bool) {
        let wanted = if on { OFlag::O_DIRECT } else { OFlag::empty() };
        // The other flags that this call can set were never set.
        let set = (!on && self.mode == Mode::Untried) || fcntl(&self.file, FcntlArg::F_SETFL(wanted)).is_ok();
        self.mode = if on && set { Mode::Direct } else { Mode::Buffered };
    }

    /// The file, everything handed to it; syncing it is still to do.
    pub fn into_file(mut self) -> File {
        if self.written > self.started {
            self.start_writeback();
        }
        self.file
    }
}

fn write_all(file: &File, blocks: &[&[u8]], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = blocks.iter().map(|b| IoSlice::new(b)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let at = i64::try_from(offset).map_err(|_| Errno::EFBIG)?;
        match pwritev(file, rest, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                IoSlice::advance_slices(&mut rest, n);
                offset += n as u64;
            }
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_mixture_of_blocks_arrives_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut output = Output::new(File::create(&path).unwrap(), 0);
        let (mut wanted, mut offset) = (Vec::new(), 0);
        // Whole blocks alone and together, an odd end, and whole blocks behind it.
        for lens in
            [&[256 << 10][..], &[256 << 10; 4], &[256 << 10, 4096], &[1000], &[256 << 10, 7], &[0], &[]]
        {
            let blocks: Vec<(AlignedBuf, usize)> = lens
                .iter()
                .map(|&len| {
                    let mut buf = AlignedBuf::new(256 << 10);
                    for b in buf.bytes_mut() {
                        *b = (wanted.len() as u64 + offset + len as u64) as u8;
                    }
                    wanted.extend_from_slice(&buf.bytes()[..len]);
                    (buf, len)
                })
                .collect();
            let blocks: Vec<&[u8]> = blocks.iter().map(|(buf, len)| &buf.bytes()[..*len]).collect();
            output.write(&blocks, offset).unwrap();
            offset = wanted.len() as u64;
        }
        drop(output.into_file());
        assert!(std::fs::read(&path).unwrap() == wanted, "other bytes than were written");
    }

    #[test]
    fn a_full_disk_is_told() {
        let mut output = Output::new(File::options().write(true).open("/dev/full").unwrap(), 0);
        let e = output.write(&[&[7; 5000]], 0).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::StorageFull);
    }
}
