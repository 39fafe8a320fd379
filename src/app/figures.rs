//! The figures of one scrape, written in the names that alert rules and dashboards know.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::catalog::metrics::{Facts, Totals, Unarchived};
use crate::ingest::progress::Phase;

/// Room on a volume, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// What may still be written.
    pub free: u64,
    /// The size of its file system.
    pub total: u64,
    /// What is left to others; below it the volume is full.
    pub reserve: u64,
}

/// One look at the station.
#[derive(Debug)]
pub struct Figures {
    /// When, milliseconds.
    pub now: i64,
    /// What is archived.
    pub totals: Totals,
    /// What is open in the catalogue.
    pub facts: Facts,
    /// Room on the volumes that answered.
    pub spaces: Vec<(String, Space)>,
    /// What each stay is doing.
    pub stays: Vec<Phase>,
    /// Bytes of the catalogue and of its write-ahead log.
    pub catalogue: (u64, u64),
}

/// What Prometheus shows beside a figure; English, as the names are.
pub struct Help(pub &'static str);

type Labels<'a> = Vec<(&'static str, &'a str)>;
type Samples<'a> = Vec<(Labels<'a>, f64)>;

const JOBS: [&str; 7] = ["planned", "copying", "copied", "verified", "retry", "failed", "quarantined"];
const VOLUMES: [&str; 5] = ["online", "full", "missing", "foreign", "failed"];
const PHASES: [(Phase, &str); 6] = [
    (Phase::Looking, "looking"),
    (Phase::Copying, "copying"),
    (Phase::Verifying, "verifying"),
    (Phase::Waiting, "waiting"),
    (Phase::Safe, "safe"),
    (Phase::Attention, "attention"),
];

/// Prometheus counts in floating point; what is beyond 2^53 loses its last digits, which nobody misses.
#[allow(clippy::cast_precision_loss)]
fn float(n: u64) -> f64 {
    n as f64
}

#[allow(clippy::cast_precision_loss)]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn write(&mut self, name: &str, help: Help, kind: MetricType, samples: &Samples<'_>) -> std::fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help.0, None, kind)?;
        for (labels, value) in samples {
            let encode = |sample: &mut MetricEncoder<'_>| match kind {
                MetricType::Counter => sample.encode_counter::<NoLabelSet, _, f64>(value, None),
                _ => sample.encode_gauge(value),
            };
            if labels.is_empty() {
                encode(&mut metric)?;
            } else {
                encode(&mut metric.encode_family(labels)?)?;
            }
        }
        Ok(())
    }

    fn gauges(&mut self, name: &str, help: Help, samples: &Samples<'_>) -> std::fmt::Result {
        self.write(name, help, MetricType::Gauge, samples)
    }

    fn gauge(&mut self, name: &str, help: Help, value: f64) -> std::fmt::Result {
        self.gauges(name, help, &vec![(Vec::new(), value)])
    }

    fn counter(&mut self, name: &str, help: Help, value: f64) -> std::fmt::Result {
        self.write(name, help, MetricType::Counter, &vec![(Vec::new(), value)])
    }
}

fn one<'a>(name: &'static str, list: &'a [(String, u64)]) -> Samples<'a> {
    list.iter().map(|(label, n)| (vec![(name, label.as_str())], float(*n))).collect()
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut page = Page(encoder);
        let version = vec![(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)];
        page.gauges("build_info", Help("The version of docket that runs; always 1."), &version)?;
        self.archive(&mut page)?;
        self.work(&mut page)?;
        self.clocks(&mut page)?;
        self.custody(&mut page)
    }
}

impl Figures {
    fn archive(&self, page: &mut Page<'_>) -> std::fmt::Result {
        let (facts, totals) = (&self.facts, &self.totals);
        page.counter("archived_files", Help("Recordings in the archive."), float(totals.files))?;
        page.counter("archived_bytes", Help("Bytes of the recordings in the archive."), float(totals.bytes))?;
        let help = Help("Recordings without a good copy, by state (damaged, missing).");
        let count = |state: &str| facts.not_well.iter().find(|(s, _)| s == state).map_or(0, |(_, n)| *n);
        let states = ["damaged", "missing"].map(|state| (vec![("state", state)], float(count(state))));
        page.gauges("recordings_not_well", help, &states.to_vec())?;
        let help = Help("1 for the state that a volume is in: online, full, missing, foreign, failed.");
        let states = facts.volumes.iter().flat_map(|(name, now)| {
            VOLUMES.map(|state| {
                (vec![("volume", name.as_str()), ("state", state)], f64::from(u8::from(now == state)))
            })
        });
        page.gauges("volume_state", help, &states.collect())?;
        let each = |of: fn(&Space) -> u64| -> Samples<'_> {
            self.spaces.iter().map(|(name, s)| (vec![("volume", name.as_str())], float(of(s)))).collect()
        };
        page.gauges(
            "volume_free_bytes",
            Help("Bytes that may still be written to a volume."),
            &each(|s| s.free),
        )?;
        page.gauges("volume_size_bytes", Help("Size of a volume's file system."), &each(|s| s.total))?;
        let help = Help("Bytes kept free on a volume; with less it counts as full.");
        page.gauges("volume_reserve_bytes", help, &each(|s| s.reserve))?;
        let help = Help("Copies that a volume gets later, because it was away or full.");
        page.gauges("volume_owed_copies", help, &one("volume", &facts.owed))
    }

    fn work(&self, page: &mut Page<'_>) -> std::fmt::Result {
        let facts = &self.facts;
        let stays = PHASES.map(|(phase, word)| {
            (vec![("phase", word)], float(self.stays.iter().filter(|p| **p == phase).count() as u64))
        });
        page.gauges("stays", Help("Cards in a dock now, by what is being done."), &stays.to_vec())?;
        let job = |state: &str| facts.jobs.iter().find(|(s, _, _)| s == state).map_or((0, 0), |j| (j.1, j.2));
        let files = JOBS.map(|state| (vec![("state", state)], float(job(state).0)));
        page.gauges("jobs", Help("Source files that are not archived, by state."), &files.to_vec())?;
        let sizes = JOBS.map(|state| (vec![("state", state)], float(job(state).1)));
        page.gauges(
            "jobs_bytes",
            Help("Bytes of source files that are not archived, by state."),
            &sizes.to_vec(),
        )?;
        fn label(of: &Unarchived) -> Labels<'_> {
            vec![("recorder", of.recorder.as_str())]
        }
        let files = facts.unarchived.iter().map(|u| (label(u), float(u.files)));
        let help = Help("Files of a recorder that were seen and are not archived.");
        page.gauges("recorder_unarchived_files", help, &files.collect())?;
        let sizes = facts.unarchived.iter().map(|u| (label(u), float(u.bytes)));
        let help = Help("Bytes of a recorder that were seen and are not archived.");
        page.gauges("recorder_unarchived_bytes", help, &sizes.collect())?;
        let ages = facts.unarchived.iter().map(|u| (label(u), seconds((self.now - u.oldest).max(0))));
        let help = Help("Age of the oldest recording of a recorder that was seen and is not archived.");
        page.gauges("recorder_oldest_unarchived_age_seconds", help, &ages.collect())?;
        page.gauge(
            "recorders_issued",
            Help("Recorders that are issued and not returned."),
            float(facts.issued),
        )
    }

    fn clocks(&self, page: &mut Page<'_>) -> std::fmt::Result {
        let facts = &self.facts;
        let states = facts.deadlines.iter().flat_map(|d| {
            [
                ("running", d.running),
                ("due_soon", d.due_soon),
                ("overdue_estimated", d.overdue_estimated),
                ("overdue", d.overdue),
                ("late", d.late),
            ]
            .map(|(state, n)| (vec![("kind", d.kind), ("state", state)], float(n)))
        });
        let help = Help(
            "Deadlines: running, due_soon, overdue_estimated (by the earliest bound), overdue (by the \
                    latest bound too), late (kept too late, ever).",
        );
        page.gauges("deadlines", help, &states.collect())?;
        let next = facts.deadlines.iter().filter_map(|d| Some((vec![("kind", d.kind)], seconds(d.next?))));
        let help = Help("When the first deadline that is running ends, by its earliest bound, since 1970.");
        page.gauges("deadline_next_timestamp_seconds", help, &next.collect())?;
        let alerts = facts.alerts.iter().map(|(kind, severity, state, n)| {
            let labels =
                vec![("kind", kind.as_str()), ("severity", severity.as_str()), ("state", state.as_str())];
            (labels, float(*n))
        });
        page.gauges("alerts", Help("Alerts that stand, by kind, severity and state."), &alerts.collect())?;
        let messages = facts.outbox.iter().flat_map(|o| {
            [("waiting", o.waiting), ("dead", o.dead)]
                .map(|(state, n)| (vec![("channel", o.channel.as_str()), ("state", state)], float(n)))
        });
        let help = Help("Messages about alerts: waiting to be delivered, dead (given up).");
        page.gauges("outbox_messages", help, &messages.collect())?;
        let ages = facts.outbox.iter().filter_map(|o| {
            Some((vec![("channel", o.channel.as_str())], seconds((self.now - o.oldest?).max(0))))
        });
        let help = Help("Age of the oldest message that should have been delivered and is not.");
        page.gauges("outbox_oldest_due_age_seconds", help, &ages.collect())
    }

    fn custody(&self, page: &mut Page<'_>) -> std::fmt::Result {
        page.counter("custody_entries", Help("Entries of the custody log."), float(self.facts.entries))?;
        let (size, at) = self.facts.checkpoint.map_or((0, None), |(size, at)| (size, Some(at)));
        let help = Help("Entries that the newest signed checkpoint covers.");
        page.gauge("checkpoint_size_entries", help, float(size))?;
        let when = at.map(|at| (Vec::new(), seconds(at)));
        let help = Help("When the newest checkpoint was signed, since 1970.");
        page.gauges("checkpoint_timestamp_seconds", help, &when.into_iter().collect())?;
        page.gauge("catalogue_size_bytes", Help("Size of the catalogue."), float(self.catalogue.0))?;
        page.gauge("catalogue_wal_size_bytes", Help("Size of its write-ahead log."), float(self.catalogue.1))
    }
}
