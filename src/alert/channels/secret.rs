//! Passwords and keys, from files that nobody else may read. They are never logged, shown or kept.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::{Error, Kind, Result};

/// A longer file is no secret.
const LONGEST: u64 = 64 << 10;

/// A secret from its file, without the blank lines at its end. A credential of the same file name that
/// systemd gave this service (`LoadCredential=`) goes before it; systemd guards those itself.
///
/// # Errors
/// Not there, empty, no text, or open to others.
pub fn read(file: &Path) -> Result<String> {
    let given = std::env::var_os("CREDENTIALS_DIRECTORY")
        .and_then(|dir| Some(PathBuf::from(dir).join(file.file_name()?)))
        .filter(|file| file.exists());
    let file = match &given {
        Some(given) => given,
        None => {
            guarded(file)?;
            file
        }
    };
    let text = std::fs::read_to_string(file).map_err(|e| Error::io("read", file, e))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Error::new(Kind::Invalid, format!("the secret in {} is empty", file.display())));
    }
    Ok(text.to_owned())
}

fn guarded(file: &Path) -> Result<()> {
    let meta = std::fs::metadata(file).map_err(|e| {
        Error::io("open", file, e).next("put the secret there, and let only docket read it: chmod 600")
    })?;
    if meta.mode() & 0o077 != 0 {
        return Err(Error::new(
            Kind::Invalid,
            format!("others may read the secret in {}: mode {:o}", file.display(), meta.mode() & 0o777),
        )
        .next(format!("let only docket read it: chmod 600 {}", file.display())));
    }
    if !meta.is_file() || meta.len() > LONGEST {
        return Err(Error::new(Kind::Invalid, format!("{} is no file with a secret", file.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_what_others_cannot_read_is_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        assert!(read(&file).unwrap_err().to_string().contains("chmod 600"));
        std::fs::write(&file, "geheim\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let e = read(&file).unwrap_err().to_string();
        assert!(e.contains("mode 640") && !e.contains("geheim"), "{e}");
        mode(0o600);
        assert_eq!(read(&file).unwrap(), "geheim");
        std::fs::write(&file, "\n").unwrap();
        assert!(read(&file).is_err());
    }
}
