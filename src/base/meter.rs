//! What a running process counts for Prometheus: cheap enough to be counted everywhere.

use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// A part of the work whose time is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Walking a card and planning what is new on it.
    Look,
    /// Reading one file from a card, hashing it and handing it to the volumes.
    Copy,
    /// Making one batch of copies durable on a volume.
    Sync,
    /// Reading one copy back from its medium.
    ReadBack,
    /// Moving one batch of copies to their places and archiving them.
    Place,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Look, Self::Copy, Self::Sync, Self::ReadBack, Self::Place];

    /// Its name as a label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Copy => "copy",
            Self::Sync => "sync",
            Self::ReadBack => "read_back",
            Self::Place => "place",
        }
    }
}

impl EncodeLabelValue for Step {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        EncodeLabelValue::encode(&self.word(), encoder)
    }
}

/// The label of [`Meter::steps`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabel {
    /// Which step.
    pub step: Step,
}

/// The label of [`Meter::verification_failures`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VolumeLabel {
    /// The volume's name in the settings.
    pub volume: String,
}

/// Counters of this process, from its start.
#[derive(Debug)]
pub struct Meter {
    /// How long steps took, seconds.
    pub steps: Family<StepLabel, Histogram>,
    /// Copies that a volume gave back with other bytes than were written to it, or not at all.
    pub verification_failures: Family<VolumeLabel, Counter>,
    /// Bytes read from cards.
    pub bytes_read: Counter,
    /// Bytes read back from volumes.
    pub bytes_read_back: Counter,
}

/// From a millisecond (a small file) to some 70 minutes (a long recording on a slow card).
fn durations() -> Histogram {
    Histogram::new(std::iter::successors(Some(0.001), |&b| Some(4.0 * b)).take(12))
}

impl Default for Meter {
    fn default() -> Self {
        let steps = Family::new_with_constructor(durations as fn() -> Histogram);
        for step in Step::ALL {
            // A series that begins at nought: the first observation is an increase too.
            drop(steps.get_or_create(&StepLabel { step }));
        }
        Self {
            steps,
            verification_failures: Family::default(),
            bytes_read: Counter::default(),
            bytes_read_back: Counter::default(),
        }
    }
}

impl Meter {
    /// Notes how long a step took.
    pub fn took(&self, step: Step, time: Duration) {
        self.steps.get_or_create(&StepLabel { step }).observe(time.as_secs_f64());
    }

    /// Does a step and notes how long it took.
    pub fn timed<T>(&self, step: Step, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.took(step, begun.elapsed());
        done
    }

    /// Counts a copy that is not what was written.
    pub fn verification_failed(&self, volume: &str) {
        self.verification_failures.get_or_create(&VolumeLabel { volume: volume.to_owned() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn every_step_has_a_series_from_the_start() {
        let meter = Meter::default();
        meter.timed(Step::ReadBack, || ());
        let mut registry = Registry::default();
        registry.register("t", "t", meter.steps.clone());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for step in Step::ALL {
            let n = u8::from(step == Step::ReadBack);
            assert!(text.contains(&format!("t_count{{step=\"{}\"}} {n}\n", step.word())), "{text}");
        }
    }
}
