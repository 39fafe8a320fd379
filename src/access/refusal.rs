//! Why the table does not allow something, and who may: in words that help whoever is refused.

use super::{About, Deed, Person, Reach, Role, reach};
use crate::base::{Error, Kind};

/// What the catalogue knows of those whom a refusal names; empty where nobody looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Who is refused.
    pub person: String,
    /// The unit of whoever is refused.
    pub own_unit: String,
    /// The unit that it belongs to.
    pub unit: String,
    /// Roles that nobody has in that unit or above it.
    pub vacant: Vec<Role>,
}

/// The error for somebody whom the table refuses this.
pub fn refusal(who: &Person, deed: Deed, about: &About, names: &Names) -> Error {
    let person = match names.person.as_str() {
        // `officer:<badge> via command:<user>`: the badge.
        "" => who.actor.split(" via ").next().and_then(|a| a.split(':').next_back()).unwrap_or(&who.actor),
        name => name,
    };
    let what = format!(
        "{person}, {}, may not do this: {}; {}",
        as_role(who.role),
        deed.words(),
        why(who, deed, about, names)
    );
    let error = Error::new(Kind::Forbidden, what);
    let may = whoever_may(deed, names);
    let list: String = may.iter().map(|one| format!("\n  - {one}")).collect();
    match may.as_slice() {
        [] => error,
        [one] => error.next(format!("this is for {one}")),
        _ if who.officer.is_none() => error.next(format!("say who acts (--as BADGE); this is for:{list}")),
        _ => error.next(format!("this is for one of these:{list}")),
    }
}

fn why(who: &Person, deed: Deed, about: &About, names: &Names) -> String {
    match reach(who.role, deed) {
        Reach::None | Reach::All => "that is not for this role".into(),
        Reach::Own => concern(deed).0.into(),
        Reach::Unit if about.is_below(who) => {
            "article 31 keeps it to the unit's head and those whom it concerns".into()
        }
        Reach::Unit if about.unit.is_none() => "it belongs to no unit".into(),
        Reach::Unit if names.own_unit.is_empty() || names.unit.is_empty() => {
            "it belongs to another unit".into()
        }
        Reach::Unit => format!("their unit is {}, and it belongs to {}", names.own_unit, names.unit),
    }
}

/// Why somebody is not one of those whom it concerns, and who they are.
fn concern(deed: Deed) -> (&'static str, &'static str) {
    match deed {
        Deed::KeepLedger => ("officers enter only what they take themselves", "whoever takes the recorder"),
        Deed::ReadRecordings | Deed::ClassifyRecording => (
            "they did not hold the recorder then, and are on no case with this recording",
            "whoever held the recorder or is on a case with this recording",
        ),
        Deed::ReadAlerts | Deed::AcknowledgeAlert => {
            ("the alert does not concern them", "whomever the alert concerns")
        }
        _ => ("they are not on this case", "an officer on the case"),
    }
}

/// Everybody who may, by the table.
fn whoever_may(deed: Deed, names: &Names) -> Vec<String> {
    let mut list = Vec::new();
    for role in Role::ALL {
        let one = match reach(role, deed) {
            Reach::None => continue,
            Reach::All => a_role(role).to_owned(),
            Reach::Own => concern(deed).1.to_owned(),
            Reach::Unit if names.unit.is_empty() => {
                format!("{} of its unit or one above", a_role(role))
            }
            Reach::Unit => format!("{} of {} or a unit above it", a_role(role), names.unit),
        };
        let vacant = reach(role, deed) == Reach::Unit && names.vacant.contains(&role);
        list.push(if vacant { format!("{one} (nobody is)") } else { one });
    }
    list
}

fn as_role(role: Role) -> &'static str {
    match role {
        Role::Officer => "as officer",
        Role::Reviewer => "as reviewer",
        Role::Head => "as head",
        Role::Supervisor => "as supervisor",
        Role::Storage => "as storage keeper",
        Role::Admin => "as administrator",
    }
}

fn a_role(role: Role) -> &'static str {
    match role {
        Role::Officer => "an officer",
        Role::Reviewer => "a reviewer",
        Role::Head => "a head",
        Role::Supervisor => "a supervisor",
        Role::Storage => "a storage keeper",
        Role::Admin => "an administrator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_sends_nobody_to_their_own_role() {
        let who = Person {
            actor: "officer:3 via command:root".into(),
            officer: Some(3),
            unit: Some(1),
            role: Role::Reviewer,
        };
        let about = About { unit: Some(2), officers: vec![7], ..About::default() };
        let names = Names {
            person: "王强 3".into(),
            own_unit: "大队".into(),
            unit: "一中队".into(),
            vacant: vec![Role::Reviewer],
        };
        let e = refusal(&who, Deed::ReviewExemption, &about, &names);
        assert_eq!(
            e.what(),
            "王强 3, as reviewer, may not do this: review an exemption; their unit is 大队, and it belongs to 一中队"
        );
        assert_eq!(e.advice(), Some("this is for a reviewer of 一中队 or a unit above it (nobody is)"));
        let zh = crate::base::zh::render;
        assert_eq!(zh(e.what()), "王强 3（审核人）不能审核免录申请：其属大队，而该事项属一中队");
        let advice = e.advice().unwrap();
        assert_eq!(zh(advice), "须由一中队或其上级单位的审核人（目前无此人员）办理");
        let e = refusal(&who, Deed::ChangeCase, &about, &Names::default());
        assert!(e.what().starts_with("3, as reviewer, ") && e.what().ends_with("not for this role"), "{e}");
        let advice = zh(e.advice().unwrap()).into_owned();
        assert_eq!(
            advice,
            "须由下列人员之一办理：\n  - 本案承办人员\n  - 所属单位或其上级单位的负责人\n  - 系统管理员"
        );
    }

    #[test]
    fn every_refusal_has_its_chinese() {
        for deed in Deed::ALL {
            for role in Role::ALL {
                for unit in [None, Some(1), Some(2)] {
                    let who = Person { actor: "officer:3".into(), officer: Some(3), unit: Some(1), role };
                    let about = About { unit, guarded: true, ..About::default() };
                    let e = refusal(&who, deed, &about, &Names::default());
                    for text in [e.what(), e.advice().unwrap_or("x")] {
                        let chinese = crate::base::zh::render(text).replace("--as BADGE", "");
                        let latin = chinese.chars().filter(char::is_ascii_alphabetic).count();
                        assert!(latin < 2, "{text}: {chinese}");
                    }
                }
            }
        }
    }
}
