//! Folder docks: each subfolder of a watched folder is a docked card. A card reader's mount point
//! and a share that recorders upload to look like this.

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::base::{Error, Result};

/// The cards in a folder dock now, sorted. Hidden folders, `lost+found` and anything that is not
/// a real directory are no cards.
pub fn cards(dock: &Path) -> Result<Vec<PathBuf>> {
    let fail = |e| {
        Error::io("list the dock", dock, e)
            .next("create the folder, mount it, or mend `path` of this [[dock]] in docket.toml")
    };
    let mut cards = Vec::new();
    for entry in std::fs::read_dir(dock).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".") || name == "lost+found";
        if !hidden && entry.file_type().is_ok_and(|t| t.is_dir()) {
            cards.push(entry.path());
        }
    }
    cards.sort();
    Ok(cards)
}

/// Notices of changes below a folder, for as long as it is kept.
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Calls `wake` when something below `path` changes (with `deep`, at any depth). Notices are a
/// convenience: inotify sees nothing on network file systems, so callers look again by themselves.
pub fn watch(path: &Path, deep: bool, wake: impl Fn() + Send + 'static) -> Option<Watch> {
    let notice = move |event: notify::Result<notify::Event>| {
        let read_only = event.is_ok_and(|e| match e.kind {
            // Reading a card makes notices too.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => true,
            _ => false,
        });
        if !read_only {
            wake();
        }
    };
    let mode = if deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
    let mut watcher = notify::recommended_watcher(notice)
        .inspect_err(|e| tracing::debug!("no notices for {}: {e}", path.display()))
        .ok()?;
    watcher
        .watch(path, mode)
        .inspect_err(|e| tracing::debug!("no notices for {}: {e}", path.display()))
        .ok()?;
    Some(Watch { _watcher: watcher })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn only_real_visible_folders_are_cards() {
        let dock = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".Trash-0", "lost+found"] {
            std::fs::create_dir(dock.path().join(name)).unwrap();
        }
        std::fs::write(dock.path().join("file"), b"").unwrap();
        std::os::unix::fs::symlink("/", dock.path().join("link")).unwrap();
        assert_eq!(cards(dock.path()).unwrap(), [dock.path().join("a"), dock.path().join("b")]);
        assert!(cards(&dock.path().join("gone")).unwrap_err().to_string().contains("docket.toml"));
    }

    #[test]
    fn a_new_card_is_noticed() {
        let dock = tempfile::tempdir().unwrap();
        let (tell, told) = channel();
        let watch = watch(dock.path(), false, move || {
            let _ = tell.send(());
        })
        .unwrap();
        std::fs::create_dir(dock.path().join("card")).unwrap();
        told.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(watch);
    }
}
