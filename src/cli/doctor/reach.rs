//! Whether what the station has to say reaches anybody: channels, officers, heads, metrics, witnesses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Findings;
use crate::access::Role;
use crate::app::control::{self, Ask};
use crate::base::config::Config;
use crate::base::config::channels::Via;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::{Connection, officers, outbox, rights, units};

/// How long the metrics may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at all of it.
pub fn check(all: &mut Findings, config: &Config, db: &Connection) {
    // What the catalogue itself has to say has a line of its own.
    let _ = channels(all, config, db);
    let _ = people(all, config, db);
    let _ = heads(all, db);
    witness(all, config);
    metrics(all, config);
}

fn channels(all: &mut Findings, config: &Config, db: &Connection) -> Result<()> {
    let health = outbox::health(db)?;
    for channel in &config.channels {
        let about = format!("channel {}", channel.name);
        let Some(h) = health.iter().find(|h| h.channel == channel.name && (h.dead > 0 || h.attempts > 0))
        else {
            all.good(&about, "nothing that it had to carry is left");
            continue;
        };
        let why = h.error.as_deref().unwrap_or("?");
        let what = match h.dead {
            0 => format!("a message failed {} times: {why}", h.attempts),
            dead => format!("{dead} messages were given up: {why}"),
        };
        let next = "mend it, see `docket alerts test-channel NAME`, then `docket alerts outbox --again NAME`";
        all.wrong(&about, &Error::new(Kind::Invalid, what).next(next));
    }
    Ok(())
}

fn people(all: &mut Findings, config: &Config, db: &Connection) -> Result<()> {
    let here: Vec<_> = officers::all(db)?.into_iter().filter(|o| !o.left).collect();
    let with_mail = here.iter().filter(|o| o.email.is_some()).count();
    let carries = config.channels.iter().any(|c| matches!(&c.via, Via::Email(mail) if mail.officers));
    let about = "alerts";
    if !here.is_empty() && config.channels.iter().all(|c| c.via == Via::Journal) {
        let what = "no channel but the log is set up: nobody is told of anything";
        all.wrong(about, &Error::new(Kind::Invalid, what).next("add a [[channel]] to docket.toml"));
    } else if with_mail > 0 && !carries {
        let what = format!("{with_mail} officers have an e-mail address, but no channel reaches officers");
        let next = "add an e-mail [[channel]] with officers = true to docket.toml";
        all.wrong(about, &Error::new(Kind::Invalid, what).next(next));
    } else if !here.is_empty() && carries && with_mail == 0 {
        let what = "no officer has an e-mail address: the channel for officers reaches nobody";
        let next = "`docket officers set BADGE --email ADDRESS`, or the column email of the import";
        all.wrong(about, &Error::new(Kind::Invalid, what).next(next));
    }
    Ok(())
}

fn heads(all: &mut Findings, db: &Connection) -> Result<()> {
    for unit in units::all(db)?.iter().filter(|u| !u.closed) {
        if rights::nearest(db, unit.id, Role::Head)?.is_empty() {
            let what = format!("unit {} {} has no head, and no unit above it has one", unit.code, unit.name);
            let next =
                "overdue alerts and approvals have nobody to go to: `docket officers set BADGE --role head`";
            all.notice("units", what, next);
        }
    }
    Ok(())
}

fn witness(all: &mut Findings, config: &Config) {
    if config.custody.witness.is_none() && config.custody.webhook.is_none() {
        all.notice(
            "witness",
            "none is set: nothing outside this station holds its checkpoints",
            "set custody.witness or custody.webhook; keep what `docket custody key` prints elsewhere too",
        );
    }
}

fn metrics(all: &mut Findings, config: &Config) {
    // Port 0 is whichever was free.
    let Some(listen) = config.metrics.listen.filter(|l| l.port() != 0) else { return };
    if !matches!(control::ask(&config.data, &Ask::Stays {}, &Cancel::new(), &mut |_| {}), Ok(Some(()))) {
        return;
    }
    // A daemon that has just begun may still be opening its door.
    let answers =
        (0..4).any(|n| (n == 0 || !Cancel::new().sleep(PATIENCE / 4)) && is_ours(listen).unwrap_or(false));
    if answers {
        all.good("metrics", format!("http://{listen}/metrics"));
    } else {
        let what = format!("the daemon runs, but no metrics of docket are at {listen}");
        let next = "another program may hold the port: give metrics.listen another, or \"off\"";
        all.wrong("metrics", &Error::new(Kind::Invalid, what).next(next));
    }
}

/// Whether docket's metrics are told at an address.
fn is_ours(listen: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&listen, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.take(64 << 10).read_to_end(&mut text)?;
    Ok(text.windows(7).any(|w| w == b"docket_"))
}
