//! Checkpoints of a running daemon at a witness over HTTP: each one, in order, until it was taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::daemon::{Daemon, dock, wait_for_docking};
use common::post::{Answer, Http, Request};
use common::tools::until;
use common::{Station, content, put};
use docket::custody::checkpoint::Checkpoint;
use docket::custody::note::{PublicKey, Signed};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn settings(url: &str) -> String {
    format!(
        "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
         [ingest]\nsettle_seconds = 0\nprobe = false\n[metrics]\nlisten = \"off\"\n\
         [[channel]]\nname = \"journal\"\ntype = \"journal\"\nseverity = \"critical\"\n\
         [[channel]]\nname = \"witness\"\ntype = \"webhook\"\nurl = \"{url}\"\ntimeout_seconds = 2\n\
         secret_file = \"secret\"\nkinds = [\"volume-full\"]\n\
         [custody]\ncheckpoint_every = 1\nwebhook = \"witness\"\n"
    )
}

fn card(station: &Station, name: &str, seed: u64) {
    let card = station.card(name);
    put(card.join(format!("F{seed}.MP4")), &content(seed, 500));
    dock(station, &card);
    wait_for_docking(station, name, "safe");
}

/// Sizes and notes of the checkpoints that the station has.
fn kept(station: &Station) -> Vec<(i64, String)> {
    let db = station.db();
    let mut query = db.prepare("SELECT size, note FROM checkpoint ORDER BY size").unwrap();
    query.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(|r| r.unwrap()).collect()
}

fn told(request: &Request) -> (i64, String) {
    let body = request.json();
    (body["size"].as_i64().unwrap(), body["checkpoint"].as_str().unwrap().to_owned())
}

#[test]
fn every_checkpoint_comes_signed_and_one_that_was_refused_comes_again() {
    let http = Http::new(vec![Answer::status(503), Answer::status(200)]);
    let station = Station::bare(&settings(&http.url("/witness")));
    let secret = station.data().join("secret");
    std::fs::write(&secret, "geheim\n").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    station.ok(&["init"]);
    let daemon = Daemon::start(&station);
    card(&station, "REC1", 1);
    http.wait(1);
    daemon.wait_for_log("a checkpoint for the witness");
    // The next stay is the next round.
    card(&station, "REC2", 2);
    let got = until("the newest checkpoint at the witness", || {
        let got = http.got();
        let known = kept(&station);
        let newest = known.last().filter(|_| known.len() > 1)?;
        got.iter().skip(1).any(|r| told(r) == *newest).then_some(got)
    });
    daemon.stop();

    let key = |r: &Request| r.header("Idempotency-Key").unwrap();
    assert_eq!((told(&got[0]), key(&got[0])), (told(&got[1]), key(&got[1])), "what was refused comes first");
    let uuid: String = station.db().query_row("SELECT uuid FROM station", [], |r| r.get(0)).unwrap();
    let text: String = station.ok(&["custody", "key"]);
    let public = text.split_whitespace().find_map(PublicKey::parse).unwrap();
    let taken: Vec<_> = got[1..].iter().map(told).collect();
    let known = kept(&station);
    assert_eq!(taken, known[..taken.len()], "all of them, the oldest first, each once");
    for request in &got {
        assert_eq!(request.line, "POST /witness HTTP/1.1");
        let (size, note) = told(request);
        assert_eq!(request.json()["station"], uuid.as_str());
        assert_eq!(key(request), format!("checkpoint.{uuid}.{size}"));
        let at = request.header("X-Docket-Timestamp").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"geheim").unwrap();
        mac.update(format!("{at}.{}", request.body).as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(request.header("X-Docket-Signature").unwrap(), format!("sha256={hex}"));
        // What the witness holds is a proof by itself.
        let (signed, read) = Checkpoint::of(note.as_bytes()).unwrap();
        assert_eq!(signed.signed_by(&public), Signed::Yes);
        assert_eq!(read.size, size.unsigned_abs());
    }
}
