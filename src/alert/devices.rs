//! Conditions of recorders: strangers in the docks, and clocks that cannot be believed. Pure but for what is
//! asked of the catalogue.

use super::notify::details;
use super::{Condition, Kind, Severity};
use crate::base::Result;
use crate::catalog::{Connection, deadlines, recorders};

/// More strangers than this are one alert.
const FOLD: usize = 20;
/// Footage archived longer ago than this (milliseconds) says nothing of a clock as it is now.
const RECENT: i64 = 7 * 86_400_000;

/// What is known of recorders that somebody should look at.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// Docked, and not in the register, where one is kept.
    pub strangers: Vec<String>,
    /// Recorder, and why its clock was not believed.
    pub doubtful: Vec<(String, String)>,
}

/// Gathers the facts.
///
/// # Errors
/// What the catalogue says.
pub fn gather(db: &Connection, now_ms: i64) -> Result<Devices> {
    Ok(Devices {
        strangers: recorders::strangers(db)?,
        doubtful: deadlines::doubtful_clocks(db, now_ms.saturating_sub(RECENT))?,
    })
}

/// What is so, by the facts.
pub fn evaluate(devices: &Devices) -> Vec<Condition> {
    let strangers = &devices.strangers;
    let unknown = |subject: String, message: String| {
        Condition::new(Kind::DeviceUnknown, subject, Severity::Warning, message)
    };
    let mut out: Vec<Condition> = match strangers.len() {
        n if n > FOLD => vec![unknown(
            "station".into(),
            format!("{n} recorders were docked that are not in the register: docket recorders list"),
        )],
        _ => strangers
            .iter()
            .map(|id| {
                let message = format!("recorder {id} was docked, and is not in the register");
                unknown(format!("recorder:{id}"), message)
            })
            .collect(),
    };
    out.extend(devices.doubtful.iter().map(|(id, why)| Condition {
        details: details([("reason", why.as_str().into())]),
        ..Condition::new(
            Kind::ClockOff,
            format!("recorder:{id}"),
            Severity::Warning,
            format!("the clock of recorder {id} cannot be believed: its footage bears impossible times"),
        )
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_named_one_by_one_or_counted() {
        let of =
            |n: usize| Devices { strangers: (0..n).map(|i| format!("R{i}")).collect(), ..Devices::default() };
        assert_eq!(
            evaluate(&of(2)).iter().map(|c| c.subject.as_str()).collect::<Vec<_>>(),
            ["recorder:R0", "recorder:R1"]
        );
        let many = evaluate(&of(21));
        assert_eq!((many.len(), many[0].subject.as_str()), (1, "station"));
        assert!(evaluate(&Devices::default()).is_empty());
    }
}
