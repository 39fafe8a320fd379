//! Which steps of a case are not explained. Pure, but for the reading of the rows.

use serde::Serialize;

use super::checklist::Named;
use crate::base::Result;
use crate::catalog::steps::{self, Standing, Step};
use crate::catalog::{Connection, cases::Case};

/// Why a step is not explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// Neither footage nor an exemption.
    NoFootage,
    /// Footage is linked, but the archive has lost it.
    NotWell,
    /// An exemption waits for its review.
    Proposed {
        /// Its number.
        exemption: i64,
    },
    /// An exemption waits for its approval.
    Reviewed {
        /// Its number.
        exemption: i64,
    },
    /// The only exemption was rejected.
    Rejected {
        /// Its number.
        exemption: i64,
    },
    /// The only exemption was withdrawn.
    Withdrawn {
        /// Its number.
        exemption: i64,
    },
    /// It is said not to take place, and nobody else has confirmed that.
    NotConfirmed,
    /// It took place, and what must be told of it in words is not (articles 12 and 24).
    NotTold {
        /// What is missing.
        asks: Vec<Named>,
    },
}

/// A step that is not explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Key of the step.
    pub step: String,
    /// English name of the step.
    pub name: String,
    /// Chinese name of the step.
    pub name_zh: String,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

impl Why {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Why::NoFootage => "no footage is linked, and there is no exemption".into(),
            Why::NotWell => "its footage is damaged or missing in the archive".into(),
            Why::Proposed { exemption } => {
                format!("exemption {exemption} is only proposed, not yet reviewed and approved")
            }
            Why::Reviewed { exemption } => format!("exemption {exemption} is reviewed, not yet approved"),
            Why::Rejected { exemption } => {
                format!("no footage is linked, and exemption {exemption} was rejected")
            }
            Why::Withdrawn { exemption } => {
                format!("no footage is linked, and exemption {exemption} was withdrawn")
            }
            Why::NotConfirmed => {
                "it is said not to take place; a reviewer or a head is to confirm that".into()
            }
            Why::NotTold { asks } => {
                let names: Vec<String> = asks.iter().map(|a| format!("{} {}", a.key, a.name_zh)).collect();
                format!("not told in words: {}", names.join(", "))
            }
        }
    }
}

/// What is asked of a step in words.
pub fn asks(step: &Step) -> Vec<Named> {
    serde_json::from_str(&step.asks).unwrap_or_default()
}

/// What was told of a step: text by key.
pub fn told(step: &Step) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(&step.told).unwrap_or_default()
}

/// The holes of one step.
pub fn of_step(step: &Step, standing: &Standing) -> Vec<Why> {
    if !step.applies {
        let is_open = step.av == "required" && step.waived_ok.is_none();
        return if is_open { vec![Why::NotConfirmed] } else { Vec::new() };
    }
    let mut out = Vec::new();
    let exempted = standing.exemption.as_ref().is_some_and(|(_, state)| state == "approved");
    if step.av == "required" && standing.footage == 0 && !exempted {
        out.push(match &standing.exemption {
            Some((exemption, state)) if state == "proposed" => Why::Proposed { exemption: *exemption },
            Some((exemption, state)) if state == "reviewed" => Why::Reviewed { exemption: *exemption },
            _ if standing.not_well > 0 => Why::NotWell,
            Some((exemption, state)) if state == "rejected" => Why::Rejected { exemption: *exemption },
            Some((exemption, _)) => Why::Withdrawn { exemption: *exemption },
            None => Why::NoFootage,
        });
    }
    let told = told(step);
    let took_place = step.from_at.is_some()
        || step.to_at.is_some()
        || standing.footage + standing.not_well + standing.other > 0
        || !told.is_empty();
    let missing: Vec<Named> = asks(step).into_iter().filter(|a| !told.contains_key(&a.key)).collect();
    if took_place && !missing.is_empty() {
        out.push(Why::NotTold { asks: missing });
    }
    out
}

/// The holes of a case.
pub fn holes(db: &Connection, case: &Case) -> Result<Vec<Hole>> {
    let mut out = Vec::new();
    for step in steps::of_case(db, case.id)? {
        for why in of_step(&step, &steps::standing(db, step.id)?) {
            out.push(Hole {
                step: step.key.clone(),
                name: step.name.clone(),
                name_zh: step.name_zh.clone(),
                why,
            });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(av: &str) -> Step {
        Step {
            id: 1,
            case: 1,
            key: "s".into(),
            name: "Step".into(),
            name_zh: "环节".into(),
            av: av.into(),
            shows: String::new(),
            retention: "case".into(),
            article: String::new(),
            asks: "[]".into(),
            told: "{}".into(),
            applies: true,
            from_at: None,
            to_at: None,
            why_not: String::new(),
            waived_by: None,
            waived_ok: None,
        }
    }

    #[test]
    fn a_required_step_wants_footage_or_an_approved_exemption() {
        let standing = |footage, not_well, other, exemption: Option<(i64, &str)>| Standing {
            footage,
            not_well,
            other,
            exemption: exemption.map(|(n, s)| (n, s.to_owned())),
        };
        for (is, expected) in [
            (standing(0, 0, 0, None), Some(Why::NoFootage)),
            (standing(1, 0, 0, None), None),
            // A log file is no audio-visual record.
            (standing(0, 0, 3, None), Some(Why::NoFootage)),
            (standing(0, 1, 0, None), Some(Why::NotWell)),
            (standing(1, 1, 0, None), None),
            (standing(0, 0, 0, Some((7, "proposed"))), Some(Why::Proposed { exemption: 7 })),
            (standing(0, 0, 0, Some((7, "reviewed"))), Some(Why::Reviewed { exemption: 7 })),
            (standing(0, 0, 0, Some((7, "approved"))), None),
            (standing(0, 0, 0, Some((7, "rejected"))), Some(Why::Rejected { exemption: 7 })),
            (standing(0, 0, 0, Some((7, "withdrawn"))), Some(Why::Withdrawn { exemption: 7 })),
            (standing(2, 0, 0, Some((7, "rejected"))), None),
        ] {
            assert_eq!(of_step(&step("required"), &is).first(), expected.as_ref(), "{is:?}");
            assert_eq!(of_step(&step("recommended"), &is), [], "{is:?}");
            let waived = Step { applies: false, ..step("required") };
            assert_eq!(of_step(&waived, &is), [Why::NotConfirmed], "{is:?}");
            let confirmed = Step { waived_ok: Some("1".into()), ..waived };
            assert_eq!(of_step(&confirmed, &is), [], "{is:?}");
            assert_eq!(of_step(&Step { applies: false, ..step("optional") }, &is), [], "{is:?}");
        }
    }

    #[test]
    fn a_step_that_took_place_is_told_in_words() {
        let asks = r#"[{"key":"reason","name":"Reason","name_zh":"理由"},{"key":"form","name":"Form","name_zh":"形式"}]"#;
        let plain = Step { asks: asks.into(), ..step("recommended") };
        assert_eq!(of_step(&plain, &Standing::default()), []);
        let began = Step { from_at: Some(1), ..plain.clone() };
        let told = Step { told: r#"{"reason":"x"}"#.into(), ..plain.clone() };
        let Some(Why::NotTold { asks }) = of_step(&began, &Standing::default()).pop() else { panic!() };
        assert_eq!(asks.len(), 2);
        let Some(Why::NotTold { asks }) = of_step(&told, &Standing::default()).pop() else { panic!() };
        assert_eq!(asks.iter().map(|a| a.key.as_str()).collect::<Vec<_>>(), ["form"]);
        let whole = Step { told: r#"{"reason":"x","form":"y"}"#.into(), ..began };
        assert_eq!(of_step(&whole, &Standing { footage: 1, ..Standing::default() }), []);
    }
}
