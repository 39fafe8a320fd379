//! The process is killed from outside at random moments, again and again, while its cards gain
//! files: after each kill the archive holds what it promised, and an undisturbed run makes it whole
//! (I5, I6). `DOCKET_KILLS` asks for more kills than the usual, `DOCKET_SEED` for others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::Station;
use common::crash::{Card, MIB, ONE_VOLUME, Rng, TWO_VOLUMES, Trying, killed_after, told};
use common::daemon::{Daemon, wait_for_docking};
use common::tools::until;

/// Kills of a run of all tests here.
const KILLS: u64 = 208;

/// A test's share of the kills, of those asked for.
fn share(of_usual: u64) -> u64 {
    let asked = std::env::var("DOCKET_KILLS").ok().map_or(KILLS, |n| n.parse().unwrap());
    (asked * of_usual).div_ceil(KILLS)
}

fn seed(own: u64) -> u64 {
    let asked = std::env::var("DOCKET_SEED").ok().map_or(0, |n| n.parse::<u64>().unwrap());
    (own + asked).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

#[test]
fn ingest_to_one_volume() {
    kill_ingests(ONE_VOLUME, share(44), seed(1));
}

#[test]
fn ingest_to_one_volume_again() {
    kill_ingests(ONE_VOLUME, share(44), seed(2));
}

#[test]
fn ingest_to_two_volumes() {
    kill_ingests(TWO_VOLUMES, share(44), seed(3));
}

#[test]
fn ingest_to_two_volumes_again() {
    kill_ingests(TWO_VOLUMES, share(44), seed(4));
}

#[test]
fn daemon_with_one_volume() {
    kill_daemons(ONE_VOLUME, share(16), seed(5));
}

#[test]
fn daemon_with_two_volumes() {
    kill_daemons(TWO_VOLUMES, share(16), seed(6));
}

/// A card and the number that makes its files differ from all others.
struct Growing {
    card: Card,
    next: u64,
}

impl Growing {
    fn new(station: &Station, name: &str, first: u64) -> Self {
        let card = Card::new(station.dir.path().join(name));
        let mut growing = Self { card, next: first };
        growing.fill();
        growing
    }

    /// Files of every kind: journaled, sharing a batch, empty, and the same bytes twice.
    fn fill(&mut self) {
        self.add(3 * MIB);
        for _ in 0..3 {
            self.add(20_000);
        }
        let seed = self.next;
        self.card.add("DCIM/twin.jpg", seed, 100_000 + seed as usize);
        self.card.add("COPY/twin.jpg", seed, 100_000 + seed as usize);
        self.add(0);
    }

    /// No two files are alike: a name that comes again after a wipe has another size.
    fn add(&mut self, len: usize) {
        self.next += 1;
        let len = if len == 0 { 0 } else { len + self.next as usize };
        self.card.add(&format!("DCIM/f{:03}.mp4", self.next), self.next, len);
    }

    /// What a recorder may do while it is not docked; much, where it was archived whole.
    fn use_recorder(&mut self, rng: &mut Rng, much: bool) {
        match rng.below(4) {
            _ if much => self.fill(),
            0 => self.add(2 * MIB),
            1 => self.add(30_000),
            _ => {}
        }
    }
}

/// How long an ingest of such a card takes when nobody kills it: kills are spread over it at first.
fn calibrate(config: &str) -> Duration {
    let run = || {
        let station = Station::with_config(config);
        let growing = Growing::new(&station, "recorder-7", 0);
        let begun = Instant::now();
        let out = station.ingest(&growing.card.path).output().unwrap();
        assert!(out.status.success(), "{}", told(&out));
        begun.elapsed()
    };
    run().min(run())
}

fn within(rng: &mut Rng, from: Duration, to: Duration) -> Duration {
    let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap();
    from + Duration::from_micros(rng.below(span))
}

fn kill_ingests(config: &str, kills: u64, seed: u64) {
    let mut rng = Rng(seed);
    // As far as a run lasts: what is killed may have lasted longer, what has ended was too short. This settles
    // where some nine of ten runs are killed, however busy the machine is meanwhile.
    let mut range = calibrate(config);
    let (mut killed, mut runs) = (0, 0);
    while killed < kills {
        let station = Station::with_config(config);
        let mut growing = Growing::new(&station, "recorder-7", 0);
        let stays = 1 + rng.below(3);
        for stay in 0..stays {
            for _ in 0..4 + rng.below(8) {
                let delay = within(&mut rng, Duration::ZERO, range);
                let _trying = Trying(format!("seed {seed}, run {runs}, to be killed after {delay:?}"));
                runs += 1;
                let ended = !killed_after(station.ingest(&growing.card.path), delay);
                range = range.mul_f64(if ended { 0.8 } else { 1.03 });
                killed += u64::from(!ended);
                station.check_all();
                station.fsck_is_clean("names");
                growing.use_recorder(&mut rng, ended);
                if killed == kills {
                    break;
                }
            }
            let _trying = Trying(format!("seed {seed}, completed after run {runs}"));
            station.complete(&growing.card);
            // A recorder that was cleared comes with new footage under its old names.
            if stay + 1 < stays && rng.below(2) == 0 {
                growing.card.wipe();
                growing.next -= 2;
                growing.fill();
            }
        }
        // Only a program that cannot be killed comes so far: delays have gone to nothing long before.
        assert!(
            runs < 50 * kills + 200,
            "only {killed} of {runs} runs were killed, the last within {range:?}"
        );
    }
}

/// From its start: when a daemon begins with its first card, and when all of them are safe.
fn calibrate_daemon(config: &str) -> (Duration, Duration) {
    let station = Station::with_config(config);
    let cards = two_cards(&station);
    let begun = Instant::now();
    let daemon = Daemon::spawn(&station);
    let dockings = "SELECT count(*) FROM docking";
    until("a docking", || {
        let n: i64 = station.db().query_row(dockings, [], |r| r.get(0)).unwrap();
        (n > 0).then_some(())
    });
    let looking = begun.elapsed();
    wait_until_safe(&station, &cards);
    let safe = begun.elapsed();
    daemon.stop();
    (looking, safe)
}

const RECORDERS: [&str; 2] = ["recorder-7", "recorder-8"];

/// Two recorders that stand in the dock.
fn two_cards(station: &Station) -> [Growing; 2] {
    let mut first = 0;
    RECORDERS.map(|name| {
        first += 1000;
        Growing::new(station, &format!("station/cards/{name}"), first)
    })
}

/// Every file is in the catalogue first: a stay may be safe before it sees the newest.
fn wait_until_safe(station: &Station, cards: &[Growing; 2]) {
    let files: usize = cards.iter().map(|g| common::files(&g.card.path).len()).sum();
    until("every file to be known", || {
        let known = "SELECT count(DISTINCT recorder || '/' || CAST(path AS TEXT)) FROM source_file";
        let n: i64 = station.db().query_row(known, [], |r| r.get(0)).unwrap();
        (n as usize >= files).then_some(())
    });
    for recorder in RECORDERS {
        wait_for_docking(station, recorder, "safe");
    }
}

fn kill_daemons(config: &str, kills: u64, seed: u64) {
    let mut rng = Rng(seed);
    let (looking, safe) = calibrate_daemon(config);
    let mut killed = 0;
    while killed < kills {
        let station = Station::with_config(config);
        let mut cards = two_cards(&station);
        for _ in 0..4 + rng.below(5) {
            // Mostly while it works, sometimes while it starts.
            let from = if rng.below(5) == 0 { Duration::ZERO } else { looking };
            let delay = within(&mut rng, from, safe);
            let _trying = Trying(format!("seed {seed}, kill {killed} of a daemon after {delay:?}"));
            // A daemon does not end by itself.
            assert!(killed_after(station.command(&["run"]), delay), "the daemon ended");
            killed += 1;
            station.check_all();
            station.fsck_is_clean("names");
            cards.iter_mut().for_each(|g| g.use_recorder(&mut rng, false));
        }
        let _trying = Trying(format!("seed {seed}, the daemon after kill {killed}"));
        let daemon = Daemon::start(&station);
        wait_until_safe(&station, &cards);
        daemon.stop();
        // Copies owed to a second volume are made in good time; here now.
        let out = station.ingest(&cards[0].card.path).output().unwrap();
        assert!(out.status.success(), "{}", told(&out));
        let mut expected = [cards[0].card.expected(), cards[1].card.expected()].concat();
        expected.sort();
        station.holds_exactly(expected);
    }
}
