//! Signed notes (C2SP signed-note): a text, a blank line, and who signed it. Ed25519 (RFC 8032) alone.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Signature type of plain Ed25519.
const ED25519: u8 = 0x01;
/// No note of docket or of its witnesses is longer; nothing longer is read.
pub const LONGEST: usize = 64 << 10;
/// Signatures looked at in one note.
const SIGNATURES: usize = 64;
const PRIVATE: &str = "PRIVATE+KEY+";

/// A public key with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's name; a log's is its origin.
    pub name: String,
    key: VerifyingKey,
}

/// A private key with its name.
pub struct PrivateKey {
    name: String,
    key: SigningKey,
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Name, key id and the 32 key bytes of `<name>+<id>+<base64>`.
fn parts(text: &str) -> Option<(&str, u32, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let bytes = STANDARD.decode(key).ok()?;
    let (&kind, key) = bytes.split_first()?;
    let fits = is_name(name) && kind == ED25519 && id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then_some((name, u32::from_str_radix(id, 16).ok()?, key.try_into().ok()?))
}

impl PublicKey {
    /// The key of a `<name>+<key id>+<base64>` text (a vkey); `None` where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, id, key) = parts(text.trim())?;
        let key = Self { name: name.to_owned(), key: VerifyingKey::from_bytes(&key).ok()? };
        (id.to_be_bytes() == key.id() && !key.key.is_weak()).then_some(key)
    }

    /// The four bytes that stand for it in a signature line.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, &self.key)
    }

    /// Whether it signed these bytes.
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|s| self.key.verify_strict(text, &s).is_ok())
    }
}

/// The form it is written down in: `docket/<station>+<key id>+<base64>`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, &self.name, self.id(), self.key.as_bytes())
    }
}

fn write_key(f: &mut impl fmt::Write, name: &str, id: [u8; 4], key: &[u8; 32]) -> fmt::Result {
    let mut bytes = vec![ED25519];
    bytes.extend_from_slice(key);
    write!(f, "{name}+{:08x}+{}", u32::from_be_bytes(id), STANDARD.encode(bytes))
}

impl PrivateKey {
    /// The key of a seed.
    pub fn new(name: &str, seed: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) }
    }

    /// The key of a line as [`PrivateKey::line`] writes it; `None` where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, id, seed) = parts(text.trim().strip_prefix(PRIVATE)?)?;
        let key = Self::new(name, &seed);
        (id.to_be_bytes() == key.public().id()).then_some(key)
    }

    /// The line kept in a file: `PRIVATE+KEY+<name>+<key id>+<base64>`, as Go's note package writes it.
    pub fn line(&self) -> String {
        let mut line = PRIVATE.to_owned();
        // Writing to a String cannot fail.
        let _ = write_key(&mut line, &self.name, self.public().id(), self.key.as_bytes());
        line + "\n"
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Its signature of these bytes.
    pub fn signature(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(text).to_bytes()
    }

    /// The signed note of a text that ends in a newline.
    pub fn sign(&self, text: &str) -> String {
        let mut bytes = self.public().id().to_vec();
        bytes.extend_from_slice(&self.signature(text.as_bytes()));
        format!("{text}\n— {} {}\n", self.name, STANDARD.encode(bytes))
    }
}

/// What a note says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It signed.
    Yes,
    /// A line says so, and the signature is not its.
    Falsely,
    /// No line names it.
    No,
}

/// A note taken apart; nothing in it is believed before a signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text with its last newline: what the signatures are of.
    pub text: String,
    /// Name, key id and signature.
    signatures: Vec<(String, [u8; 4], Vec<u8>)>,
}

impl Note {
    /// Takes any bytes apart; `None` where they are no signed note.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let whole = std::str::from_utf8(bytes).ok().filter(|t| t.len() <= LONGEST)?;
        if whole.bytes().any(|b| b < 0x20 && b != b'\n') {
            return None;
        }
        let at = whole.rfind("\n\n")?;
        let (text, lines) = (&whole[..=at], &whole[at + 2..]);
        let lines = lines.strip_suffix('\n')?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
            let bytes = STANDARD.decode(signature).ok()?;
            let (id, signature) = bytes.split_first_chunk::<4>()?;
            if !is_name(name) || signature.is_empty() || signatures.len() == SIGNATURES {
                return None;
            }
            signatures.push((name.to_owned(), *id, signature.to_vec()));
        }
        Some(Self { text: text.to_owned(), signatures })
    }

    /// Whether a key signed it.
    pub fn signed_by(&self, key: &PublicKey) -> Signed {
        let id = key.id();
        let mut mine = self.signatures.iter().filter(|(n, i, _)| *n == key.name && *i == id);
        let good = |s: &[u8]| key.verifies(self.text.as_bytes(), s);
        match mine.next() {
            None => Signed::No,
            Some((_, _, s)) if good(s) && mine.all(|(_, _, s)| good(s)) => Signed::Yes,
            Some(_) => Signed::Falsely,
        }
    }

    /// The names of those who say that they signed it.
    pub fn signers(&self) -> String {
        let names: Vec<_> =
            self.signatures.iter().map(|(n, id, _)| format!("{n}+{}", crate::base::text::hex(id))).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of Go's golang.org/x/mod/sumdb/note, whose format C2SP took over.
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_go_s_note_package_is_read() {
        let key = PublicKey::parse(VKEY).unwrap();
        assert_eq!(key.to_string(), VKEY);
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.signed_by(&key), Signed::Yes);
        let forged = NOTE.replace("problem is.", "problem was.");
        assert_eq!(Note::parse(forged.as_bytes()).unwrap().signed_by(&key), Signed::Falsely);
        let other = PrivateKey::new("PeterNeumann", &[1; 32]).public();
        assert_eq!(note.signed_by(&other), Signed::No);
        assert_eq!(note.signers(), "PeterNeumann+c74f20a3");
    }

    #[test]
    fn keys_come_back_from_their_lines() {
        let key = PrivateKey::new("docket/x", &[9; 32]);
        let again = PrivateKey::parse(&key.line()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::parse(&key.public().to_string()), Some(key.public()));
        let other = key.public().to_string().replace("docket/x", "docket/y");
        assert_eq!(PublicKey::parse(&other), None, "another name has another key id");
    }

    proptest! {
        #[test]
        fn what_was_signed_reads_back(lines in "([^\u{0}-\u{1f}]{1,20}\n){1,5}", seed: [u8; 32]) {
            let key = PrivateKey::new("docket/x", &seed);
            let note = Note::parse(key.sign(&lines).as_bytes()).unwrap();
            prop_assert_eq!(&note.text, &lines);
            prop_assert_eq!(note.signed_by(&key.public()), Signed::Yes);
        }

        #[test]
        fn any_changed_byte_of_a_note_is_noticed(at: prop::sample::Index, to: u8) {
            let key = PrivateKey::new("docket/x", &[3; 32]);
            let mut bytes = key.sign("docket/x\n7\nAAAA\n").into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let signed = Note::parse(&bytes).map(|n| n.signed_by(&key.public()));
            prop_assert_ne!(signed, Some(Signed::Yes));
        }

        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>, text in "[-— a+\n=0-9A-Z]{0,80}") {
            let _ = Note::parse(&bytes);
            let _ = Note::parse(text.as_bytes());
            let _ = PublicKey::parse(&text);
            let _ = PrivateKey::parse(&format!("PRIVATE+KEY+{text}"));
        }
    }
}
