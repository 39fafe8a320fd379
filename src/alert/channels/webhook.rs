//! A POST over HTTP: docket's own JSON, signed, or the form of a group robot.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};

use super::{Failure, certificates, chain, robots, secret};
use crate::alert::message::Letter;
use crate::base::config::channels::{Format, Webhook};
use crate::base::text::hex;
use crate::base::{Error, Kind, Result};

/// Bytes of an answer that are read; no receiver has more to say.
const ANSWER: usize = 64 << 10;
/// Redirects that are followed, on one host.
const HOPS: usize = 3;

/// Posts a letter.
pub async fn send(
    hook: &Webhook,
    letter: &Letter,
    now: DateTime<Utc>,
    time: Duration,
) -> Result<(), Failure> {
    let body = match hook.format {
        Format::Docket => letter.json(now),
        robot => {
            let subject = letter.subject();
            let room = robots::most(robot).saturating_sub(subject.len() + 1);
            let text = format!("{subject}\n{}", letter.text(&chrono::Local, room));
            robots::body(robot, &text, secret_of(hook)?.as_deref(), now.timestamp())
        }
    };
    post(hook, &letter.key, &body.to_string(), now, time).await
}

fn secret_of(hook: &Webhook) -> Result<Option<String>, Failure> {
    hook.secret_file.as_deref().map(secret::read).transpose().map_err(Failure::surely)
}

/// Posts a body; `key` is what a receiver knows it by when it comes again.
pub async fn post(
    hook: &Webhook,
    key: &str,
    body: &str,
    now: DateTime<Utc>,
    time: Duration,
) -> Result<(), Failure> {
    let secret = secret_of(hook)?;
    let secret = secret.as_deref();
    let client = client(hook, time)?;
    let url = robots::address(hook.format, &hook.url.0, secret, now.timestamp_millis());
    let mut request =
        client.post(url).header("Content-Type", "application/json").header("Idempotency-Key", header(key));
    if let (Format::Docket, Some(secret)) = (hook.format, secret) {
        // Over time and body: an old message cannot be played again as a new one.
        let at = now.timestamp().to_string();
        let signed = robots::hmac(secret.as_bytes(), format!("{at}.{body}").as_bytes());
        request = request
            .header("X-Docket-Timestamp", at)
            .header("X-Docket-Signature", format!("sha256={}", hex(&signed)));
    }
    let answer = request.body(body.to_owned()).send().await.map_err(|e| failed(hook, e))?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(Failure::surely(
            Error::new(
                Kind::Invalid,
                format!("{} sends messages elsewhere (status {})", hook.url, status.as_u16()),
            )
            .next("docket follows no redirect to another host; name the right address in the settings"),
        ));
    }
    if !status.is_success() {
        let error =
            Error::new(Kind::Invalid, format!("{} answered with status {}", hook.url, status.as_u16()))
                .next("look into the receiver's own log");
        // A gateway that gave up may have handed it on before.
        let perhaps = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        return Err(Failure { error, perhaps });
    }
    if hook.format == Format::Docket {
        return Ok(());
    }
    let said = read(answer).await.map_err(|e| failed(hook, e))?;
    match robots::refusal(hook.format, &said) {
        None => Ok(()),
        Some(what) => Err(Failure::surely(
            Error::new(Kind::Invalid, what).next("check the robot's address, its secret and its keywords"),
        )),
    }
}

fn client(hook: &Webhook, time: Duration) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .user_agent(concat!("docket/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(time.min(Duration::from_secs(10)))
        .timeout(time)
        .referer(false)
        .redirect(Policy::custom(|attempt| {
            // 301 to 303 would make a GET of it: nothing would have been told.
            let keeps = matches!(attempt.status().as_u16(), 307 | 308);
            let first = attempt.previous().first();
            let stays = first.is_some_and(|first| same_place(first, attempt.url()));
            if keeps && stays && attempt.previous().len() <= HOPS { attempt.follow() } else { attempt.stop() }
        }));
    if hook.url.0.scheme() == "http" {
        // Nothing is verified: a machine without any certificates is no reason to fail.
        builder = builder.tls_certs_only([]);
    } else if let Some(file) = &hook.ca_file {
        let pem = certificates(file)?;
        let list = Certificate::from_pem_bundle(&pem).ok().filter(|list| !list.is_empty());
        let Some(list) = list else {
            return Err(Failure::surely(Error::new(
                Kind::Invalid,
                format!("{} holds no certificates (PEM)", file.display()),
            )));
        };
        builder = builder.tls_certs_merge(list);
    }
    builder.build().map_err(|e| failed(hook, e))
}

fn same_place(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// The library's words without the address, which may have a key in it.
fn failed(hook: &Webhook, e: reqwest::Error) -> Failure {
    let perhaps = !(e.is_connect() || e.is_builder());
    let e = e.without_url();
    let error = Error::new(
        Kind::Io(nix::errno::Errno::ECONNABORTED),
        format!("cannot reach {}: {}", hook.url, why(&e)),
    )
    .next("check the address, the network and the certificate");
    Failure { error, perhaps }
}

/// The cause at the bottom, without the layers it went through.
fn why(e: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = e;
    while let Some(cause) = last.source() {
        last = cause;
    }
    chain(last)
}

/// What the receiver answered, as far as anybody reads it.
async fn read(mut answer: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(part) = answer.chunk().await? {
        out.extend_from_slice(&part);
        if out.len() > ANSWER {
            out.truncate(ANSWER);
            break;
        }
    }
    Ok(out)
}

/// A key as the value of a header: visible ASCII.
fn header(key: &str) -> String {
    if key.bytes().all(|b| b.is_ascii_graphic()) {
        return key.to_owned();
    }
    use sha2::Digest;
    hex(&sha2::Sha256::digest(key.as_bytes()))
}
