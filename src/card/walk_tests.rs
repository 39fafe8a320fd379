//! The walk against real folders.

use super::*;
use crate::base::Kind;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use std::fs;
use std::os::unix::fs::symlink;

fn collect(card: &Card, names: usize, folders: usize) -> Vec<Directory> {
    let mut out = Vec::new();
    walk_with(card, names, folders, &mut |dir| {
        out.push(dir.clone());
        Ok(true)
    })
    .unwrap();
    out
}

/// Every file's path, in walking order.
fn paths(dirs: &[Directory]) -> Vec<PathBuf> {
    dirs.iter().flat_map(|d| d.files.iter().map(|f| d.path.join(&f.name))).collect()
}

fn tree(files: &[&str]) -> (tempfile::TempDir, Card) {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let card = Card::open(dir.path()).unwrap();
    (dir, card)
}

#[test]
fn files_come_sorted_whatever_the_windows() {
    let files =
        ["b/z/1.mp4", "b/a/2.mp4", ".hidden", "z.mp4", "Z.mp4", "a/3.mp4", "c/4.mp4", "d/5.mp4", "执法.mp4"];
    let (_dir, card) = tree(&files);
    let whole = collect(&card, NAMES, FOLDERS);
    let expected =
        [".hidden", "Z.mp4", "z.mp4", "执法.mp4", "a/3.mp4", "b/a/2.mp4", "b/z/1.mp4", "c/4.mp4", "d/5.mp4"];
    assert_eq!(paths(&whole), expected.map(PathBuf::from));
    for (names, folders) in [(1, 1), (2, 1), (1, 2), (3, 3)] {
        assert_eq!(paths(&collect(&card, names, folders)), paths(&whole), "{names} {folders}");
    }
    assert_eq!(whole[0].files[0].size, 7);
    let meta = fs::metadata(card.path().join("z.mp4")).unwrap();
    let entry = whole[0].files.iter().find(|f| f.name == "z.mp4").unwrap();
    assert_eq!(entry.mtime_ns / 1_000_000_000, std::os::unix::fs::MetadataExt::mtime(&meta));
}

#[test]
fn a_large_folder_comes_in_parts_of_one_order() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..FILES_AT_ONCE + 5 {
        fs::write(dir.path().join(format!("{i:05}.mp4")), b"").unwrap();
    }
    let dirs = collect(&Card::open(dir.path()).unwrap(), NAMES, FOLDERS);
    assert_eq!(dirs.iter().map(|d| d.files.len()).collect::<Vec<_>>(), [FILES_AT_ONCE, 5]);
    assert!(paths(&dirs).is_sorted());
}

#[test]
fn what_is_not_a_file_is_left_with_a_reason() {
    let (dir, card) = tree(&["a.mp4"]);
    symlink("/etc", dir.path().join("b-link")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("c-pipe"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("d-socket")).unwrap();
    let dirs = collect(&card, NAMES, FOLDERS);
    assert_eq!(paths(&dirs), [PathBuf::from("a.mp4")]);
    let left: Vec<_> = dirs[0].left.iter().map(|l| (l.name.to_str().unwrap(), l.reason.as_str())).collect();
    assert_eq!(
        left,
        [
            ("b-link", "a symbolic link: not followed"),
            ("c-pipe", "a FIFO: not a file"),
            ("d-socket", "a socket: not a file")
        ]
    );
}

#[test]
fn an_unreadable_folder_is_left_and_the_rest_is_walked() {
    use std::os::unix::fs::PermissionsExt;
    if nix::unistd::geteuid().is_root() {
        return; // Root reads everything.
    }
    let (dir, card) = tree(&["a/1.mp4", "b/2.mp4"]);
    fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o0)).unwrap();
    let dirs = collect(&card, NAMES, FOLDERS);
    assert_eq!(paths(&dirs), [PathBuf::from("b/2.mp4")]);
    let left: Vec<_> = dirs.iter().flat_map(|d| &d.left).collect();
    assert!(left.len() == 1 && left[0].name == "a" && left[0].reason.starts_with("unreadable"), "{left:?}");
}

#[test]
fn folders_are_followed_beyond_path_max_but_not_forever() {
    let dir = tempfile::tempdir().unwrap();
    let name = "a-folder-within-a-folder";
    let open = |fd: &OwnedFd, name: &str| openat(fd, name, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    let mut fd = nix::fcntl::open(dir.path(), OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    for depth in 1..=MAX_DEPTH + 2 {
        mkdirat(&fd, name, Mode::S_IRWXU).unwrap();
        fd = open(&fd, name);
        if depth == MAX_DEPTH {
            drop(openat(&fd, "deep.mp4", OFlag::O_CREAT | OFlag::O_RDWR, Mode::S_IRWXU).unwrap());
        }
    }
    let card = Card::open(dir.path()).unwrap();
    let dirs = collect(&card, NAMES, FOLDERS);
    let [deep] = &paths(&dirs)[..] else { panic!("{}", dirs.len()) };
    assert!(deep.as_os_str().len() > 4096);
    assert_eq!(card.open_file(deep).unwrap().metadata().unwrap().len(), 0);
    let left: Vec<_> = dirs.iter().flat_map(|d| &d.left).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].reason, "unreadable: nested deeper than 512 folders");
}

#[test]
fn every_folder_is_shown_and_the_caller_can_stop_or_fail() {
    let (dir, card) = tree(&["a/1.mp4", "b/2.mp4"]);
    fs::create_dir_all(dir.path().join("empty/inner")).unwrap();
    let shown: Vec<_> = collect(&card, NAMES, FOLDERS).into_iter().map(|d| d.path).collect();
    assert_eq!(shown, ["", "a", "b", "empty", "empty/inner"].map(PathBuf::from));
    let mut seen = 0;
    walk(&card, &mut |_| {
        seen += 1;
        Ok(seen < 2)
    })
    .unwrap();
    assert_eq!(seen, 2);
    let e = walk(&card, &mut |_| Err(Error::new(Kind::Cancelled, "stop"))).unwrap_err();
    assert_eq!(e.kind(), Kind::Cancelled);
}

#[test]
fn a_card_taken_away_under_way_has_vanished() {
    let outer = tempfile::tempdir().unwrap();
    let here = outer.path().join("card");
    fs::create_dir_all(here.join("a")).unwrap();
    let card = Card::open(&here).unwrap();
    let e = walk(&card, &mut |_| {
        if here.exists() {
            fs::remove_dir_all(&here).unwrap();
        }
        Ok(true)
    })
    .unwrap_err();
    assert_eq!(e.kind(), Kind::Vanished, "{e}");
}
