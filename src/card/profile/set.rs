//! All profiles of a station, and which of them a card is told by.

use std::collections::BTreeMap;
use std::path::Path;

use super::Profile;
use super::file::Draft;
use crate::card::naming::{split, text};

/// The profile that holds where no other does, and that every other stands on.
const GENERIC: &str = "generic";
/// A profile is a page of text; what is larger is none.
const LARGEST: u64 = 1 << 20;

const SHIPPED: [(&str, &str); 8] = [
    ("generic.toml", include_str!("../../../config/profiles/generic.toml")),
    ("dcam.toml", include_str!("../../../config/profiles/dcam.toml")),
    ("dcim.toml", include_str!("../../../config/profiles/dcim.toml")),
    ("datefolders.toml", include_str!("../../../config/profiles/datefolders.toml")),
    ("filesdata.toml", include_str!("../../../config/profiles/filesdata.toml")),
    ("gopro.toml", include_str!("../../../config/profiles/gopro.toml")),
    ("yi.toml", include_str!("../../../config/profiles/yi.toml")),
    ("dashcam.toml", include_str!("../../../config/profiles/dashcam.toml")),
];

/// The profiles of a station.
#[derive(Debug, Clone)]
pub struct Profiles {
    generic: Profile,
    /// The others, the one that is asked first at the front.
    others: Vec<Profile>,
}

/// Which profile a card is read by, and why.
#[derive(Debug, Clone)]
pub struct Detection<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The count that decided, in words.
    pub reason: String,
}

impl Profiles {
    /// Those that ship with docket.
    pub fn builtin() -> Self {
        let mut problems = Vec::new();
        match assemble(shipped(&mut problems), &mut problems) {
            Some(profiles) => profiles,
            None => unreachable!("the shipped profiles are tested: {problems:?}"),
        }
    }

    /// The station's own (`*.toml` in `dir`) on top of the shipped; the same id replaces one.
    ///
    /// # Errors
    /// Every problem of every file, each line naming file and key.
    pub fn load(dir: &Path) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut drafts = shipped(&mut problems);
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in read_folder(dir, &mut problems) {
            let Some(draft) = Draft::read(&file, &text, &mut problems) else { continue };
            if let Some(other) = own.insert(draft.id.clone(), file.clone()) {
                problems.push(format!("{file}: id: `{}` is already the id of {other}", draft.id));
            }
            drafts.insert(draft.id.clone(), draft);
        }
        let profiles = assemble(drafts, &mut problems);
        profiles.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// The profile of this id.
    pub fn get(&self, id: &str) -> Option<&Profile> {
        self.iter().find(|p| p.id == id)
    }

    /// All, in the order they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.others.iter().chain([&self.generic])
    }

    /// Tells the profile by names from a card (relative paths). Each name counts for the first
    /// profile that knows it, and the profile with most of them is taken. Only media count, so
    /// that logs cannot outvote footage; where there are none, sidecars and logs do.
    pub fn detect(&self, names: &mut dyn Iterator<Item = &Path>) -> Detection<'_> {
        let last = self.others.len();
        let mut media = vec![0_usize; last + 1];
        let mut beside = media.clone();
        for name in names {
            let file_name = text(name.file_name().unwrap_or_default());
            let votes = match self.generic.kind_of(&split(&file_name).1) {
                "video" | "audio" | "photo" => &mut media,
                "other" => continue,
                _ => &mut beside,
            };
            votes[self.others.iter().position(|p| p.knows(name)).unwrap_or(last)] += 1;
        }
        let votes = if media.iter().any(|n| *n > 0) { media } else { beside };
        let total: usize = votes.iter().sum();
        if total == 0 {
            let reason = "no media, sidecar or log to tell the profile by".into();
            return Detection { profile: &self.generic, reason };
        }
        let mut ranks: Vec<(usize, &Profile)> = votes.into_iter().zip(self.iter()).collect();
        // Stable: among equals, the one that was asked first.
        ranks.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let (won, profile) = ranks[0];
        let next = match ranks.get(1) {
            Some((n, next)) if *n > 0 => format!("next best: {}, {n}", next.id),
            _ => "no other".into(),
        };
        let reason = if profile.id == GENERIC {
            format!("{won} of {total} names are known to no other profile ({next})")
        } else {
            format!("{won} of {total} names match {} ({next})", profile.id)
        };
        Detection { profile, reason }
    }
}

fn shipped(problems: &mut Vec<String>) -> BTreeMap<String, Draft> {
    let drafts = SHIPPED.iter().filter_map(|(file, text)| Draft::read(file, text, problems));
    drafts.map(|draft| (draft.id.clone(), draft)).collect()
}

fn assemble(mut drafts: BTreeMap<String, Draft>, problems: &mut Vec<String>) -> Option<Profiles> {
    let generic = drafts.remove(GENERIC).and_then(|draft| draft.compile(None, problems));
    // Without the generic one the others are still looked at, for their own problems.
    let mut others: Vec<Profile> =
        drafts.values().filter_map(|draft| draft.compile(generic.as_ref(), problems)).collect();
    others.sort_by(|a, b| (-a.priority, &a.id).cmp(&(-b.priority, &b.id)));
    Some(Profiles { generic: generic?, others })
}

/// The files of a folder as name and text, sorted by name.
fn read_folder(dir: &Path, problems: &mut Vec<String>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => {
            problems.push(format!("{}: cannot list the folder: {e}", dir.display()));
            return out;
        }
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(e) => {
                problems.push(format!("{}: cannot list the folder: {e}", dir.display()));
                continue;
            }
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.starts_with('.') || !file.ends_with(".toml") {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(meta) if meta.len() > LARGEST => problems.push(format!("{file}: larger than 1 MiB")),
            _ => match std::fs::read_to_string(&path) {
                Ok(text) => out.push((file, text)),
                Err(e) => problems.push(format!("{file}: cannot read it: {e}")),
            },
        }
    }
    out.sort();
    out
}
