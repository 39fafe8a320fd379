//! Reading an archived file back from the medium, past the page cache.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::base::direct_io::AlignedBuf;
use crate::base::durable_fs::{Dir, ReadBack, drop_cache, read_some};
use crate::base::{Cancel, Error, Result};

/// Bytes read at a time; more is no faster, and six are held for each volume.
pub const BLOCK: usize = 512 << 10;

/// What was read back.
pub struct Found {
    /// SHA-256 of the bytes on the medium.
    pub sha256: [u8; 32],
    /// How many there were.
    pub size: u64,
    /// How they were read.
    pub how: ReadBack,
}

/// Reads a file below a volume from the medium and hashes it, through a buffer that the caller
/// keeps between files. `progress` is told of bytes read.
pub fn read_back(
    dir: &Dir,
    rel: &Path,
    buf: &mut AlignedBuf,
    cancel: &Cancel,
    progress: &dyn Fn(u64),
) -> Result<Found> {
    let (mut file, mut how) = dir.open_read_back(rel)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        cancel.check()?;
        let n = match read_some(&file, buf.bytes_mut(), size) {
            Ok(n) => n,
            // Some file systems accept the flag and refuse the read.
            Err(e) if how == ReadBack::Direct && e.raw_os_error() == Some(nix::libc::EINVAL) => {
                file = dir.open_read(rel)?;
                drop_cache(&file);
                how = ReadBack::CacheDropped;
                continue;
            }
            Err(e) => return Err(Error::io("read back", &dir.join(rel), e)),
        };
        if n == 0 {
            break;
        }
        hash.update(&buf.bytes_mut()[..n]);
        size += n as u64;
        progress(n as u64);
        // Only the end of the file is unaligned; direct I/O cannot ask beyond it.
        if n % AlignedBuf::ALIGN != 0 {
            break;
        }
    }
    Ok(Found { sha256: hash.finalize().into(), size, how })
}
