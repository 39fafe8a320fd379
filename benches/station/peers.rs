//! What docket is measured against: the lines a careful person would type.

use std::path::{Path, PathBuf};

/// A way from a card to an archive, as a shell line that begins with cold caches.
pub struct Peer {
    pub name: &'static str,
    pub line: String,
    /// What counts towards the physical limit, not as a contender.
    pub limit: bool,
}

const COLD: &str = "sync; echo 3 > /proc/sys/vm/drop_caches";
/// `sync DIR` flushes the directory only.
const FLUSH: &str = "find $archive/copy -type f -exec sync {} +";

/// All of them. `rclone` is left out where it is not installed.
pub fn peers(card: &Path, archive: &Path, docket: &Path, data: &Path) -> Vec<Peer> {
    let set = format!(
        "card={} archive={} docket={} data={}; ",
        card.display(),
        archive.display(),
        docket.display(),
        data.display()
    );
    let peer = |name, limit, line: String| Peer { name, line: format!("{set}{line}"), limit };
    let mut all = vec![
        peer("reading the card once (`cat`)", true, "find $card -type f -exec cat {} + > /dev/null".into()),
        peer("`cp -r` + flush (nothing verified)", true, format!("cp -r $card $archive/copy; {FLUSH}")),
        peer(
            "(b) `cp -r` + flush + `sha256sum` of both, cold",
            false,
            format!(
                "cp -r $card $archive/copy; {FLUSH}; {COLD}
                 (cd $card; find . -type f -exec sha256sum {{}} + | sort) > $data.sums
                 (cd $archive/copy; find . -type f -exec sha256sum {{}} + | sort) | cmp - $data.sums"
            ),
        ),
        peer(
            "(c) `rsync -a` + flush + `rsync -c`, cold",
            false,
            format!(
                "rsync -a $card/ $archive/copy/; {FLUSH}; {COLD}
                 test -z \"$(rsync -rc --dry-run --itemize-changes $card/ $archive/copy/)\""
            ),
        ),
    ];
    if let Some(rclone) = rclone() {
        let rclone = rclone.display();
        all.push(peer(
            "(d) `rclone copy` + flush + `rclone check --download`, cold",
            false,
            format!(
                "{rclone} -q copy $card $archive/copy; {FLUSH}; {COLD}
                 {rclone} -q check --download $card $archive/copy"
            ),
        ));
    }
    all.push(peer(
        "**docket ingest**",
        false,
        "$docket ingest --data $data --json $card > $data.said".into(),
    ));
    all
}

/// Where `make bench` puts it, or the one in PATH.
fn rclone() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rclone/bin/rclone");
    let installed =
        || std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join("rclone")).find(|p| p.exists());
    found.exists().then_some(found).or_else(installed)
}
