//! The door for Prometheus: `GET /metrics` on an address of its own, loopback by default.
//!
//! Nobody is asked who they are here, so nothing is told that must not be known: numbers, and the names of
//! volumes, channels and recorders; never names of files, officers or cases. Figures of the catalogue and of
//! the volumes are taken when they are asked for, one scrape at a time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::docks::Docks;
use super::figures::{Figures, Help, Space};
use crate::base::clock::to_ms;
use crate::base::meter::VolumeLabel;
use crate::base::{Error, Kind, Result};
use crate::catalog::metrics::{Totals, facts, totals};
use crate::ingest::station::{CATALOG, Station};

/// How long a scrape may take, waiting for the one before it included. Prometheus gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a volume may take to tell its free space: a dying disk must not hide everything else.
const SPACE: Duration = Duration::from_secs(1);
/// Clients at once; whoever comes on top is hung up on. Strangers must not use up the open files that
/// archiving needs.
const MOST_CLIENTS: usize = 32;
/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(5);
/// How long a connection may last with everything: asking, [`PATIENCE`], reading the answer.
const LONGEST: Duration = Duration::from_secs(20);
/// The pause where no connection can be taken on: files may be free again then.
const PAUSE: Duration = Duration::from_secs(1);
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What scrapes share.
pub struct Metrics {
    station: Arc<Station>,
    docks: Arc<Docks>,
    totals: Mutex<Totals>,
    /// What the volumes said last, by name.
    spaces: Mutex<Vec<(String, Space)>>,
    /// Held while volumes are asked: where one hangs, the next scrape does not ask again.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// One scrape at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Metrics {
    /// Metrics of a running daemon.
    pub fn new(station: Arc<Station>, docks: Arc<Docks>) -> Self {
        for volume in &station.settings().config.volumes {
            // A series that begins at nought: the first failure is an increase too.
            let label = VolumeLabel { volume: volume.name.clone() };
            drop(station.core.meter.verification_failures.get_or_create(&label));
        }
        Self {
            station,
            docks,
            totals: Mutex::default(),
            spaces: Mutex::default(),
            asking: Arc::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Answers until the task is dropped. A port that is taken is a warning: archiving goes on.
    pub async fn serve(self, listen: SocketAddr) {
        let bound = match TcpListener::bind(listen).await {
            Ok(listener) => listener.local_addr().map(|at| (listener, at)),
            Err(e) => Err(e),
        };
        let (listener, at) = match bound {
            Ok(bound) => bound,
            Err(e) => {
                tracing::warn!(
                    "no metrics: cannot listen at {listen}: {e}; give metrics.listen another port, or \"off\""
                );
                return;
            }
        };
        tracing::info!("metrics at http://{at}/metrics");
        let shared = Arc::new(self);
        let first = Arc::clone(&shared);
        // Counting a million recordings takes a moment the first time: before anybody asks.
        drop(tokio::task::spawn_blocking(move || first.count_archived()));
        let answer = move |headers: HeaderMap| async move { shared.answer(&headers).await };
        let routes = Router::new().route("/metrics", get(answer));
        let places = Arc::new(Semaphore::new(MOST_CLIENTS));
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                tokio::spawn(one_request(stream, routes.clone(), place));
            }
        }
    }

    async fn answer(self: Arc<Self>, headers: &HeaderMap) -> Response {
        let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let open = accepts.contains("application/openmetrics-text");
        let told = tokio::time::timeout(PATIENCE, Arc::clone(&self).scrape()).await;
        match told {
            Ok(Ok(text)) if open => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
            Ok(Ok(text)) => ([(header::CONTENT_TYPE, PLAIN)], plain(&text)).into_response(),
            Ok(Err(e)) => {
                tracing::warn!("metrics: {e}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }

    async fn scrape(self: Arc<Self>) -> Result<String> {
        let _turn = self.turn.lock().await;
        self.ask_volumes().await;
        let shared = Arc::clone(&self);
        let taken = tokio::task::spawn_blocking(move || shared.text()).await;
        taken.unwrap_or_else(|e| Err(Error::new(Kind::Catalog, format!("a scrape broke off: {e}"))))
    }

    /// Asks every open volume for its space; waits a moment for the answer, and else keeps the last one.
    async fn ask_volumes(self: &Arc<Self>) {
        let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() else { return };
        let shared = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let _asking = asking;
            let config = &shared.station.settings().config;
            let open = shared.station.open_finishers();
            let said = config.volumes.iter().filter_map(|volume| {
                let finisher = open.iter().find(|f| f.volume.name == volume.name)?;
                let (free, total) = finisher.volume.dir.space().ok()?;
                Some((volume.name.clone(), Space { free, total, reserve: volume.reserve }))
            });
            let said = said.collect();
            *shared.spaces.lock().unwrap_or_else(PoisonError::into_inner) = said;
        });
        let _ = tokio::time::timeout(SPACE, asked).await;
    }

    fn count_archived(&self) -> Result<Totals> {
        let mut kept = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = self.station.core.catalog.read(|db| totals(db, *kept))?;
        Ok(*kept)
    }

    fn text(&self) -> Result<String> {
        let core = &self.station.core;
        let config = &self.station.settings().config;
        let now = to_ms(core.clock.now());
        let [soon, soon_case] =
            ["recording", "case"].map(|kind| config.deadlines.soon(kind).num_milliseconds());
        let size = |end: &str| {
            let file = config.data.join(format!("{CATALOG}{end}"));
            std::fs::metadata(file).map_or(0, |m| m.len())
        };
        let figures = Figures {
            now,
            totals: self.count_archived()?,
            facts: core.catalog.read(|db| facts(db, now, soon, soon_case))?,
            spaces: self.spaces.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            stays: self.docks.stays().into_iter().map(|(_, stay)| stay.phase).collect(),
            catalogue: (size(""), size("-wal")),
        };
        let mut registry = Registry::with_prefix("docket");
        let meter = &core.meter;
        let steps = Help(
            "Seconds that a step of archiving took: look (a card), copy and read_back (a file), sync and place (a batch)",
        );
        registry.register("step_duration_seconds", steps.0, meter.steps.clone());
        let failures = Help(
            "Copies that a volume gave back with other bytes than were written, or not at all, since the start",
        );
        registry.register("verification_failures", failures.0, meter.verification_failures.clone());
        let read = Help("Bytes read from cards since the start");
        registry.register("card_read_bytes", read.0, meter.bytes_read.clone());
        let back = Help("Bytes of new copies read back from volumes since the start");
        registry.register("read_back_bytes", back.0, meter.bytes_read_back.clone());
        registry.register_collector(Box::new(figures));
        let mut text = String::new();
        encode(&mut text, &registry)
            .map_err(|e| Error::new(Kind::Invalid, format!("cannot write metrics: {e}")))?;
        Ok(text)
    }
}

/// Answers one request and hangs up: an idle connection would keep its place from others.
async fn one_request(stream: TcpStream, routes: Router, place: OwnedSemaphorePermit) {
    let answering = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    // Whether the client got its answer is the client's business.
    let _ = tokio::time::timeout(LONGEST, answering).await;
    drop(place);
}

/// The same in the older text format, for whoever does not ask for OpenMetrics: there a counter is declared
/// under the name of its samples, and nothing marks the end.
fn plain(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len() + 1024);
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        let counter = |line: &str| {
            let name = line.strip_prefix("# TYPE ")?.strip_suffix(" counter")?;
            Some(name.to_owned())
        };
        let next = lines.peek().copied().unwrap_or_default();
        if let Some(name) = counter(line) {
            for part in ["# TYPE ", &name, "_total", " counter\n"] {
                out.push_str(part);
            }
        } else if let Some(name) = counter(next)
            && let Some(help) = line.strip_prefix(&format!("# HELP {name} "))
        {
            for part in ["# HELP ", &name, "_total ", help, "\n"] {
                out.push_str(part);
            }
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_declares_counters_by_their_samples() {
        let open = "# HELP a A b.\n# TYPE a counter\na_total 1\n# HELP g G.\n# TYPE g gauge\ng 2\n# EOF\n";
        let old =
            "# HELP a_total A b.\n# TYPE a_total counter\na_total 1\n# HELP g G.\n# TYPE g gauge\ng 2\n";
        assert_eq!(plain(open), old);
    }
}
