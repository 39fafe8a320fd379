//! The Merkle tree of RFC 6962 (and RFC 9162, section 2.1): roots, proofs, and checking them.
//!
//! Nothing here reads a database. Whoever asks for a root or a proof hands over a function that knows
//! the hash of any full, aligned subtree: `(level, place)` is the subtree over the 2^level leaves from
//! leaf `place · 2^level` on.

use sha2::{Digest, Sha256};

use super::entry::Hash;
use crate::base::Result;

/// Knows the hash of every full subtree.
pub type Subtrees<'a> = dyn FnMut(u32, u64) -> Result<Hash> + 'a;

/// The hash of two neighbours' parent.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over all hashes of a full subtree's level; `None` unless their number is a power of two.
pub fn reduce(mut hashes: Vec<Hash>) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    while hashes.len() > 1 {
        hashes = hashes.chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect();
    }
    hashes.first().copied()
}

/// The hash over the `len` leaves from `start` on; `start` is a multiple of the power of two that
/// `len` does not exceed. Zero leaves have the hash of nothing.
fn range(full: &mut Subtrees<'_>, mut start: u64, mut len: u64) -> Result<Hash> {
    let mut peaks = Vec::new();
    while len > 0 {
        let level = len.ilog2();
        peaks.push(full(level, start >> level)?);
        start += 1 << level;
        len -= 1 << level;
    }
    Ok(fold(&peaks))
}

/// Full subtrees from the largest, on the left, to the smallest: their common root.
fn fold(peaks: &[Hash]) -> Hash {
    let mut peaks = peaks.iter().rev();
    let Some(&last) = peaks.next() else { return Sha256::digest([]).into() };
    peaks.fold(last, |right, left| node(left, &right))
}

/// The root of the first `size` leaves.
///
/// # Errors
/// Whatever `full` says.
pub fn root(full: &mut Subtrees<'_>, size: u64) -> Result<Hash> {
    range(full, 0, size)
}

/// Where a tree of `size` > 1 leaves is split: the largest power of two below `size`.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The path from leaf `index` to the root of the first `size` leaves (RFC 9162, 2.1.3.1).
///
/// # Errors
/// Whatever `full` says.
pub fn inclusion(full: &mut Subtrees<'_>, index: u64, size: u64) -> Result<Vec<Hash>> {
    let (mut start, mut len) = (0, size);
    let mut path = Vec::new();
    while len > 1 && index < size {
        let k = split(len);
        if index - start < k {
            path.push(range(full, start + k, len - k)?);
            len = k;
        } else {
            path.push(range(full, start, k)?);
            (start, len) = (start + k, len - k);
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the first `new` leaves begin with the first `old` (RFC 9162, 2.1.4.1). Empty where
/// there is nothing to prove: `old` is 0 or not below `new`.
///
/// # Errors
/// Whatever `full` says.
pub fn consistency(full: &mut Subtrees<'_>, old: u64, new: u64) -> Result<Vec<Hash>> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut start, mut len, mut whole) = (0, new, true);
    while old - start < len {
        let k = split(len);
        if old - start <= k {
            path.push(range(full, start + k, len - k)?);
            len = k;
        } else {
            path.push(range(full, start, k)?);
            (start, len, whole) = (start + k, len - k, false);
        }
    }
    if !whole {
        path.push(range(full, start, len)?);
    }
    path.reverse();
    Ok(path)
}

/// The root that a leaf's path leads to (RFC 9162, 2.1.3.2); `None` where the path has the wrong length.
pub fn root_of_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut f, mut s, mut r) = (index, size - 1, *leaf);
    for p in path {
        if s == 0 {
            return None;
        }
        if f & 1 == 1 || f == s {
            r = node(p, &r);
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            r = node(&r, p);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    (s == 0).then_some(r)
}

/// Whether a proof shows that the tree with `new_root` continues the one with `old_root` (RFC 9162, 2.1.4.2).
pub fn is_consistent(old: u64, new: u64, old_root: &Hash, new_root: &Hash, path: &[Hash]) -> bool {
    if old == 0 || old >= new {
        return old == new && path.is_empty() && old_root == new_root;
    }
    let mut path = path.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(&first) = first else { return false };
    let (mut f, mut s) = (old - 1, new - 1);
    while f & 1 == 1 {
        (f, s) = (f >> 1, s >> 1);
    }
    let (mut fr, mut sr) = (first, first);
    for c in path {
        if s == 0 {
            return false;
        }
        if f & 1 == 1 || f == s {
            (fr, sr) = (node(c, &fr), node(c, &sr));
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            sr = node(&sr, c);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    s == 0 && fr == *old_root && sr == *new_root
}

/// The tree as far as leaves were handed over one by one: only the right edge is kept.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    /// One full subtree for each bit of `size`, the largest first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Adds a leaf; `filled(level, place, hash)` hears of each subtree that is full with it.
    pub fn push(&mut self, leaf: Hash, mut filled: impl FnMut(u32, u64, &Hash)) {
        let (mut hash, mut level) = (leaf, 0);
        while self.size >> level & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node(&left, &hash);
            level += 1;
            filled(level, self.size >> level, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Their root.
    pub fn root(&self) -> Hash {
        fold(&self.peaks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::{hex, unhex};
    use crate::custody::entry::leaf;
    use proptest::prelude::*;

    /// The leaves that the implementations of RFC 6962 share as test vectors.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn vectors() -> Vec<Hash> {
        LEAVES.iter().map(|l| leaf(&unhex(l).unwrap())).collect()
    }

    fn numbered(n: u64) -> Vec<Hash> {
        (0..n).map(|i| leaf(&i.to_be_bytes())).collect()
    }

    fn over(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash> {
        |level, place| {
            let from = (place << level) as usize;
            Ok(reduce(leaves[from..from + (1 << level)].to_vec()).unwrap())
        }
    }

    /// MTH of RFC 6962, 2.1, word by word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            more => {
                let k = split(more.len() as u64) as usize;
                node(&naive(&more[..k]), &naive(&more[k..]))
            }
        }
    }

    /// PATH of RFC 6962, 2.1.1, word by word.
    fn naive_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let k = split(leaves.len() as u64) as usize;
        let (mut path, other) = if m < k {
            (naive_path(m, &leaves[..k]), naive(&leaves[k..]))
        } else {
            (naive_path(m - k, &leaves[k..]), naive(&leaves[..k]))
        };
        path.push(other);
        path
    }

    #[test]
    fn the_vectors_of_rfc_6962() {
        let leaves = vectors();
        let mut frontier = Frontier::default();
        for (i, wanted) in ROOTS.iter().enumerate() {
            let n = i as u64 + 1;
            assert_eq!(hex(&root(&mut over(&leaves), n).unwrap()), *wanted);
            frontier.push(leaves[i], |_, _, _| {});
            assert_eq!((frontier.size(), hex(&frontier.root())), (n, (*wanted).to_owned()));
        }
        assert_eq!(
            hex(&root(&mut over(&leaves), 0).unwrap()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        // Leaf 5 of 8, and 6 of 8: as in the test data of certificate-transparency-go.
        let path: Vec<_> = inclusion(&mut over(&leaves), 5, 8).unwrap().iter().map(|h| hex(h)).collect();
        assert_eq!(
            path,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        let path: Vec<_> = consistency(&mut over(&leaves), 6, 8).unwrap().iter().map(|h| hex(h)).collect();
        assert_eq!(
            path,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
    }

    proptest! {
        #[test]
        fn roots_and_paths_are_those_of_the_definition(n in 1u64..600, at: prop::sample::Index) {
            let leaves = numbered(n);
            let (whole, m) = (naive(&leaves), at.index(n as usize));
            prop_assert_eq!(root(&mut over(&leaves), n).unwrap(), whole);
            let path = inclusion(&mut over(&leaves), m as u64, n).unwrap();
            prop_assert_eq!(&path, &naive_path(m, &leaves));
            prop_assert_eq!(root_of_inclusion(&leaves[m], m as u64, n, &path), Some(whole));
        }

        #[test]
        fn a_proof_of_something_else_leads_elsewhere(
            n in 2u64..600, at: prop::sample::Index, bit in 0usize..256, which: prop::sample::Index
        ) {
            let leaves = numbered(n);
            let (whole, m) = (naive(&leaves), at.index(n as usize) as u64);
            let mut path = inclusion(&mut over(&leaves), m, n).unwrap();
            let other = (m + 1) % n;
            prop_assert_ne!(root_of_inclusion(&leaves[m as usize], other, n, &path), Some(whole));
            prop_assert_eq!(root_of_inclusion(&leaves[m as usize], n, n, &path), None);
            let which = which.index(path.len());
            path[which][bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_inclusion(&leaves[m as usize], m, n, &path), Some(whole));
            path.pop();
            prop_assert_eq!(root_of_inclusion(&leaves[m as usize], m, n, &path), None);
        }

        #[test]
        fn a_longer_log_is_shown_to_continue_a_shorter(n in 1u64..600, at: prop::sample::Index, bit in 0usize..256) {
            let leaves = numbered(n);
            let m = at.index(n as usize) as u64 + 1;
            let (old, new) = (naive(&leaves[..m as usize]), naive(&leaves));
            let mut path = consistency(&mut over(&leaves), m, n).unwrap();
            prop_assert!(is_consistent(m, n, &old, &new, &path));
            prop_assert!(!is_consistent(n + 1, n, &old, &new, &path));
            let mut forged = old;
            forged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_consistent(m, n, &forged, &new, &path));
            path.push(old);
            prop_assert!(!is_consistent(m, n, &old, &new, &path));
        }

        #[test]
        fn any_path_can_be_checked(
            index: u64, size: u64, old: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..70)
        ) {
            let leaf = [7; 32];
            let _ = root_of_inclusion(&leaf, index, size, &path);
            let _ = is_consistent(old, size, &leaf, &leaf, &path);
        }
    }
}
