//! The digests taken in the one read of a source, and their state at a journaled offset.

use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};
use sm3::Sm3;

use crate::base::{Error, Kind, Result};

/// Running digests: SHA-256 always, SM3 (GB/T 32905) where asked for.
#[derive(Clone)]
pub struct Digests {
    sha256: Sha256,
    sm3: Option<Sm3>,
}

/// The values at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// SM3.
    pub sm3: Option<[u8; 32]>,
}

impl Digests {
    /// Fresh digests.
    pub fn new(sm3: bool) -> Self {
        Self { sha256: Sha256::new(), sm3: sm3.then(Sm3::new) }
    }

    /// Takes bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sm3) = &mut self.sm3 {
            sm3.update(bytes);
        }
    }

    /// The values.
    pub fn finish(self) -> Values {
        Values { sha256: self.sha256.finalize().into(), sm3: self.sm3.map(|h| h.finalize().into()) }
    }

    /// The state as bytes: one for "with SM3", then the states. Holds for one minor version of the
    /// hash crates; a state that cannot be read only means that the copy starts over.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.sm3.is_some())];
        out.extend_from_slice(&self.sha256.serialize());
        if let Some(sm3) = &self.sm3 {
            out.extend_from_slice(&sm3.serialize());
        }
        out
    }

    /// Digests from saved state; `sm3` must be as it was when saved.
    pub fn restore(saved: &[u8], sm3: bool) -> Result<Self> {
        let bad = || Error::new(Kind::Invalid, "a journaled hash state cannot be read");
        let fresh = Self::new(sm3);
        let len = fresh.sha256.serialize().len();
        let (&with_sm3, rest) = saved.split_first().ok_or_else(bad)?;
        if (with_sm3 == 1) != sm3 || rest.len() < len {
            return Err(bad());
        }
        let (first, second) = rest.split_at(len);
        let sha256 = first.try_into().ok().and_then(|s| Sha256::deserialize(s).ok()).ok_or_else(bad)?;
        let sm3 = match sm3 {
            true => Some(second.try_into().ok().and_then(|s| Sm3::deserialize(s).ok()).ok_or_else(bad)?),
            false => None,
        };
        Ok(Self { sha256, sm3 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_restored_state_goes_on_as_if_nothing_happened(a: Vec<u8>, b: Vec<u8>, sm3: bool) {
            let mut whole = Digests::new(sm3);
            whole.update(&a);
            let mut resumed = Digests::restore(&whole.save(), sm3).unwrap();
            whole.update(&b);
            resumed.update(&b);
            prop_assert_eq!(whole.finish(), resumed.finish());
        }

        #[test]
        fn any_bytes_as_state_are_taken_or_refused(bytes: Vec<u8>, sm3: bool) {
            let _ = Digests::restore(&bytes, sm3);
        }
    }

    #[test]
    fn sm3_is_the_standard_one() {
        let mut d = Digests::new(true);
        d.update(b"abc");
        // GB/T 32905-2016, example 1.
        assert_eq!(
            crate::base::text::hex(&d.finish().sm3.unwrap()),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
    }
}
