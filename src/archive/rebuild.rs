//! The catalogue from the manifests beside the media, when the database is lost.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::layout;
use super::manifest::Line;
use super::read_back::{BLOCK, read_back};
use super::volume::Look;
use crate::base::direct_io::AlignedBuf;
use crate::base::text::show;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::Catalog;
use crate::catalog::copies::Copy;
use crate::catalog::dockings::By;
use crate::catalog::recordings::{self, Recording};

/// What came of it.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Rebuilt {
    /// Copies entered.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines that could not be used, and files that are not as their line says.
    pub problems: Vec<String>,
}

/// Problems kept for the report; more are counted in its last line.
const PROBLEMS: usize = 1000;

/// Enters every original of a volume that its manifests name. Each is read back from the medium
/// first: a row never promises what was not seen (I1, I5).
pub fn volume(
    catalog: &Catalog,
    by: &By,
    volume: &Look,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64),
) -> Result<Rebuilt> {
    let mut out = Rebuilt::default();
    let mut dirs = vec![PathBuf::from(layout::MEDIA)];
    let mut buf = AlignedBuf::new(BLOCK);
    while let Some(dir) = dirs.pop() {
        for name in volume.dir.list(&dir)? {
            let path = dir.join(&name);
            let is_dir =
                volume.dir.stat(&path)?.is_some_and(|s| s.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR);
            if is_dir {
                dirs.push(path);
            } else if name == layout::RECORDS {
                records(catalog, by, volume, &path, &mut out, &mut buf, cancel, progress)?;
            }
        }
    }
    Ok(out)
}

#[expect(clippy::too_many_arguments, reason = "one call, all of it state of the same walk")]
fn records(
    catalog: &Catalog,
    by: &By,
    volume: &Look,
    path: &Path,
    out: &mut Rebuilt,
    buf: &mut AlignedBuf,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let shown = show(path.as_os_str());
    let mut problem = |what: String| {
        if out.problems.len() < PROBLEMS {
            out.problems.push(format!("volume {}: {what}", volume.name));
        }
    };
    let (mut copies, mut bytes) = (0, 0);
    let file = match volume.dir.open_read(path) {
        Ok(file) => file,
        Err(e) => {
            problem(e.what().to_owned());
            return Ok(());
        }
    };
    for (n, line) in BufReader::new(file).split(b'\n').enumerate() {
        cancel.check()?;
        let line = line.map_err(|e| Error::io("read", &volume.dir.join(path), e))?;
        let parsed: Option<Line> = serde_json::from_slice(&line).ok();
        let Some((line, row)) = parsed.and_then(|l| l.recording().map(|r| (l, r))) else {
            if !line.is_empty() {
                problem(format!("{shown}, line {}: not a record", n + 1));
            }
            continue;
        };
        let file = dir.join(&line.file);
        match check(volume, &file, &row, buf, cancel) {
            Ok(how) => {
                progress(row.size);
                bytes += row.size;
                let copy = Copy {
                    recording: row.id.clone(),
                    volume: volume.id.clone(),
                    path: file.to_string_lossy().into_owned(),
                    state: "archived".into(),
                    verified_at: Some(crate::base::clock::to_ms(by.at)),
                    how: Some(how.into()),
                };
                let by = by.clone();
                match catalog.write(move |tx| recordings::rebuild(tx, &by, &row, &copy)) {
                    Ok(entered) => copies += u64::from(entered),
                    Err(e) => problem(format!("{shown}, line {}: {e}", n + 1)),
                }
            }
            Err(e) if e.kind() == Kind::Cancelled => return Err(e),
            Err(e) => problem(format!("{}: {}", show(file.as_os_str()), e.what())),
        }
    }
    out.copies += copies;
    out.bytes += bytes;
    Ok(())
}

fn check(
    volume: &Look,
    file: &Path,
    row: &Recording,
    buf: &mut AlignedBuf,
    cancel: &Cancel,
) -> Result<&'static str> {
    if volume.dir.stat(file)?.is_none() {
        return Err(Error::new(Kind::NotFound, "the manifest names it, and it is not there"));
    }
    let found = read_back(&volume.dir, file, buf, cancel, &|_| {})?;
    if found.sha256[..] == row.sha256[..] && found.size == row.size {
        return Ok(found.how.word());
    }
    Err(Error::new(Kind::Integrity, "its bytes are not what the manifest says; it was left out"))
}
