//! Who may do what: one table (I8). Whatever it does not allow is refused.

mod refusal;
mod table;

pub use refusal::{Names, refusal};
pub use table::{Deed, Reach, reach};

use serde::{Deserialize, Serialize};

use crate::base::Result;

/// What a person is to the unit (articles 28, 29 and 32 of the founding rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 执法人员: records, and handles cases (承办人).
    Officer,
    /// 审核人: reviews what is proposed.
    Reviewer,
    /// 单位负责人: approves (批准人), and answers for the unit.
    Head,
    /// 法规监督: reads everything, changes nothing.
    Supervisor,
    /// 存储管理员: recorders, disks and alerts.
    Storage,
    /// 系统管理员: registers and settings.
    Admin,
}

impl Role {
    /// All roles, in the order of the table's columns.
    pub const ALL: [Role; 6] =
        [Role::Officer, Role::Reviewer, Role::Head, Role::Supervisor, Role::Storage, Role::Admin];

    /// Its word in the catalogue and in CSV.
    pub fn word(self) -> &'static str {
        match self {
            Role::Officer => "officer",
            Role::Reviewer => "reviewer",
            Role::Head => "head",
            Role::Supervisor => "supervisor",
            Role::Storage => "storage",
            Role::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.word() == word)
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// How custody names them: `officer:<badge>`, `command:<user>`, `daemon`.
    pub actor: String,
    /// Their number in the officers' register, where they are in it.
    pub officer: Option<i64>,
    /// The unit they belong to.
    pub unit: Option<i64>,
    /// Their role.
    pub role: Role,
}

impl Person {
    /// Somebody with access to the station's own files, who could change them anyway: its administrator.
    pub fn administrator(actor: String) -> Self {
        Self { actor, officer: None, unit: None, role: Role::Admin }
    }
}

/// What a deed is about, as far as the table asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Whose unit it is.
    pub unit: Option<i64>,
    /// The units above that one: what belongs to a unit is answered for by those above it too.
    pub above: Vec<i64>,
    /// The officers it concerns: on the case, in the ledger, holding the recorder.
    pub officers: Vec<i64>,
    /// It holds a state secret, a business secret or somebody's privacy (article 31): within the unit it is
    /// for its head and those whom it concerns.
    pub guarded: bool,
}

impl About {
    /// Whether it belongs to this person's unit, or to one below it.
    pub fn is_below(&self, who: &Person) -> bool {
        who.unit.is_some_and(|own| self.unit == Some(own) || self.above.contains(&own))
    }
}

/// Whether the table lets this person do this.
pub fn is_allowed(who: &Person, deed: Deed, about: &About) -> bool {
    let is_own = who.officer.is_some_and(|me| about.officers.contains(&me));
    match reach(who.role, deed) {
        Reach::None => false,
        Reach::Own => is_own,
        Reach::Unit => is_own || about.is_below(who) && (!about.guarded || who.role == Role::Head),
        Reach::All => true,
    }
}

/// Refuses what the table does not allow. Where a catalogue is at hand, its own check names people and units.
///
/// # Errors
/// [`crate::base::Kind::Forbidden`], with the reason and who may.
pub fn check(who: &Person, deed: Deed, about: &About) -> Result<()> {
    if is_allowed(who, deed, about) { Ok(()) } else { Err(refusal(who, deed, about, &Names::default())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    fn person(role: Role, officer: i64, unit: i64) -> Person {
        Person { actor: format!("officer:{officer}"), officer: Some(officer), unit: Some(unit), role }
    }

    #[test]
    fn reach_is_what_it_says() {
        let about = About { unit: Some(1), officers: vec![7], ..About::default() };
        let (own, strange) = (person(Role::Officer, 7, 2), person(Role::Officer, 8, 2));
        assert!(is_allowed(&own, Deed::ChangeCase, &about));
        assert!(!is_allowed(&strange, Deed::ChangeCase, &about));
        assert!(is_allowed(&person(Role::Head, 9, 1), Deed::ApproveExemption, &about));
        assert!(!is_allowed(&person(Role::Head, 9, 2), Deed::ApproveExemption, &about));
        let e = check(&strange, Deed::ChangeCase, &about).unwrap_err();
        assert_eq!(e.kind(), Kind::Forbidden);
    }

    #[test]
    fn a_unit_answers_for_those_below_it() {
        let about = About { unit: Some(3), above: vec![2, 1], ..About::default() };
        for (role, unit, may) in
            [(Role::Head, 1, true), (Role::Head, 3, true), (Role::Head, 4, false), (Role::Officer, 1, false)]
        {
            let is = is_allowed(&person(role, 9, unit), Deed::ChangeCase, &about);
            assert_eq!(is, may, "{role:?} of {unit}");
        }
        let below = About { unit: Some(1), ..About::default() };
        assert!(!is_allowed(&person(Role::Head, 9, 3), Deed::ChangeCase, &below));
    }

    #[test]
    fn a_secret_of_the_unit_is_for_its_head_and_those_it_concerns() {
        let about = About { unit: Some(1), officers: vec![7], guarded: true, ..About::default() };
        let may = |role, officer, unit| is_allowed(&person(role, officer, unit), Deed::ReadCase, &about);
        assert!(may(Role::Head, 9, 1) && may(Role::Officer, 7, 1) && may(Role::Reviewer, 7, 1));
        assert!(!may(Role::Reviewer, 8, 1) && !may(Role::Head, 9, 2) && !may(Role::Officer, 8, 1));
    }

    #[test]
    fn a_supervisor_reads_everything_and_changes_nothing() {
        for deed in Deed::ALL {
            let reach = reach(Role::Supervisor, deed);
            assert_eq!(reach != Reach::None, deed.only_reads(), "{deed:?}");
        }
    }

    #[test]
    fn nobody_without_a_register_entry_or_unit_is_anybody_s() {
        let nobody = Person { officer: None, unit: None, ..person(Role::Officer, 1, 1) };
        for deed in Deed::ALL {
            let open = reach(Role::Officer, deed) == Reach::All;
            assert_eq!(is_allowed(&nobody, deed, &About::default()), open, "{deed:?}");
        }
    }
}
