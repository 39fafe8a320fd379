//! Mail over SMTP, with TLS from the first byte or by STARTTLS.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, header::HeaderName, header::HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sha2::{Digest, Sha256};

use super::{Failure, certificates, chain, secret};
use crate::alert::message::Letter;
use crate::base::config::channels::{Email, Security};
use crate::base::text::hex;
use crate::base::{Error, Kind, Result};

/// Longer mails are read by nobody.
const MOST: usize = 100_000;

/// Sends a letter to one address.
pub async fn send(
    mail: &Email,
    to: &str,
    letter: &Letter,
    now: DateTime<Utc>,
    time: Duration,
) -> Result<(), Failure> {
    let message = message(mail, to, letter, now).map_err(Failure::surely)?;
    let transport = transport(mail, time)?;
    let sent = transport.send(message).await;
    transport.shutdown().await;
    sent.map(drop).map_err(|e| {
        let error = Error::new(
            Kind::Io(nix::errno::Errno::ECONNABORTED),
            format!("mail server {}: {}", mail.server, chain(&e)),
        )
        .next("check server, port, security, user name and password of the channel");
        // Only a mail that the server refused in words is surely not on its way.
        Failure { error, perhaps: !(e.is_transient() || e.is_permanent() || e.is_client()) }
    })
}

fn mailbox(address: &str) -> Result<Mailbox> {
    address.parse().map_err(|_| {
        Error::new(Kind::Invalid, format!("`{address}` is no mail address"))
            .next("mend it in the settings or in the officers' register")
    })
}

fn message(mail: &Email, to: &str, letter: &Letter, now: DateTime<Utc>) -> Result<Message> {
    let from = mailbox(&mail.from)?;
    // The same at every try, so that mail systems can tell a mail they have already.
    let id = hex(&Sha256::digest(format!("{} {to}", letter.key).as_bytes())[..16]);
    let domain = from.email.domain().to_owned();
    let mut message = Message::builder()
        .from(from)
        .to(mailbox(to)?)
        .date(now.into())
        .message_id(Some(format!("<{id}@{domain}>")))
        .subject(letter.subject())
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text(&chrono::Local, MOST))
        .map_err(|e| Error::new(Kind::Invalid, format!("cannot write a mail: {}", chain(&e))))?;
    // No out-of-office answers (RFC 3834).
    let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(auto, "auto-generated".to_owned()));
    Ok(message)
}

fn transport(mail: &Email, time: Duration) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
    let mut tls = TlsParameters::builder(mail.server.clone());
    if let Some(file) = &mail.ca_file {
        let bad = |_| {
            let what = format!("{} holds no certificates (PEM)", file.display());
            Failure::surely(Error::new(Kind::Invalid, what))
        };
        tls = tls.add_root_certificate(Certificate::from_pem(&certificates(file)?).map_err(bad)?);
    }
    let tls = tls.build_rustls().map_err(|e| {
        let what = format!("mail server {}: {}", mail.server, chain(&e));
        Failure::surely(Error::new(Kind::Invalid, what))
    })?;
    let tls = match mail.security {
        Security::Tls => Tls::Wrapper(tls),
        Security::StartTls => Tls::Required(tls),
        Security::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.server)
        .port(mail.port)
        .tls(tls)
        .timeout(Some(time))
        .hello_name(ClientId::default());
    if let (Some(user), Some(file)) = (&mail.username, &mail.password_file) {
        let password = secret::read(file).map_err(Failure::surely)?;
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}
