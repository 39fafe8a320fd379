//! One custody entry and its canonical bytes.
//!
//! The bytes are JSON in the form of RFC 8785 (JCS) restricted to what needs no judgement:
//! ASCII keys sorted, no white space, strings, whole numbers, true, false and null. They are
//! the leaf data of an RFC 6962 tree: leaf hash = SHA-256(0x00 ‖ bytes). The chain makes the
//! order provable before there is a tree: chain(n) = SHA-256(0x02 ‖ chain(n−1) ‖ leaf(n)),
//! chain(0) = 32 zero bytes.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::base::clock::rfc3339;

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// Who did what to what, when; `details` holds what is needed to judge it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When, by the station's clock.
    pub at: DateTime<Utc>,
    /// Who: `daemon`, `command:<user>`.
    pub actor: String,
    /// What was done, as `object.verb`.
    pub action: &'static str,
    /// To what: `recording:<id>`, `docking:<n>`, `volume:<name>`.
    pub object: String,
    /// Facts: strings, whole numbers, booleans.
    pub details: Map<String, Value>,
}

impl Entry {
    /// The canonical bytes of this entry as number `seq` of the log.
    pub fn canonical(&self, seq: u64) -> Vec<u8> {
        let mut map = Map::new();
        map.insert("action".into(), self.action.into());
        map.insert("actor".into(), self.actor.as_str().into());
        map.insert("at".into(), rfc3339(self.at).into());
        map.insert("details".into(), exact(Value::Object(self.details.clone())));
        map.insert("object".into(), self.object.as_str().into());
        map.insert("seq".into(), seq.into());
        map.insert("v".into(), 1.into());
        Value::Object(map).to_string().into_bytes()
    }
}

/// Numbers that JSON readers disagree about (fractions, beyond 2^53) become strings.
fn exact(value: Value) -> Value {
    match value {
        Value::Number(n) => match n.as_i64() {
            Some(i) if i.unsigned_abs() <= 1 << 53 => Value::Number(n),
            _ => Value::String(n.to_string()),
        },
        Value::Array(list) => Value::Array(list.into_iter().map(exact).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, exact(v))).collect()),
        other => other,
    }
}

/// The RFC 6962 leaf hash of canonical bytes.
pub fn leaf(canonical: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(canonical).finalize().into()
}

/// The chain value after a leaf.
pub fn chain(previous: &Hash, leaf: &Hash) -> Hash {
    Sha256::new().chain_update([0x02]).chain_update(previous).chain_update(leaf).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn entry(details: Value) -> Entry {
        let Value::Object(details) = details else { panic!("an object") };
        Entry {
            at: DateTime::from_timestamp_millis(1_763_900_000_123).unwrap(),
            actor: "daemon".into(),
            action: "recording.archived",
            object: "recording:x".into(),
            details,
        }
    }

    #[test]
    fn canonical_bytes_never_change() {
        let bytes = entry(json!({"z": 1, "a": "张三\n\"", "big": u64::MAX, "half": 0.5})).canonical(7);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            r#"{"action":"recording.archived","actor":"daemon","at":"2025-11-23T12:13:20.123Z","details":{"a":"张三\n\"","big":"18446744073709551615","half":"0.5","z":1},"object":"recording:x","seq":7,"v":1}"#
        );
        assert_eq!(
            crate::base::text::hex(&leaf(b"")),
            // RFC 6962 leaf hash of the empty leaf.
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    proptest! {
        #[test]
        fn canonical_bytes_read_back_to_the_same_bytes(key in "[a-z_]{1,8}", text: String, n: i64) {
            let bytes = entry(json!({ key: text, "n": n })).canonical(1);
            let again: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(again.to_string().into_bytes(), bytes);
        }
    }
}
