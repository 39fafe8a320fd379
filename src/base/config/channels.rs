//! The settings of alerts and of the channels that carry them.

use std::fmt;
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;
use reqwest::Url;

use super::section::Section;

/// The words of all kinds of alert, as settings, the catalogue and `--json` have them.
pub const KINDS: [&str; 20] = [
    "recording-overdue",
    "recording-due-soon",
    "recorder-not-docked",
    "recorder-due-soon",
    "case-overdue",
    "case-due-soon",
    "verification-failed",
    "volume-full",
    "volume-missing",
    "volume-foreign",
    "dock-fault",
    "card-damaged",
    "device-unknown",
    "identity-duplicate",
    "clock-off",
    "derivatives-failing",
    "backup-old",
    "custody-failed",
    "witness-failing",
    "channel-failing",
];

/// How much an alert matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody has to do something about it in time.
    Warning,
    /// Evidence or the rule is at stake now.
    Critical,
}

impl Severity {
    /// From the least to the most.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// Its word in settings and in the catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The severity of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// What is the same for all channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// Messages are in Chinese; else in English.
    pub chinese: bool,
    /// Days after which the last `docket backup` is old.
    pub backup_days: u32,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { chinese: true, backup_days: 7 }
    }
}

/// One way by which alerts reach somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its name in this file, in the outbox and on screens.
    pub name: String,
    /// Nothing below this is carried.
    pub severity: Severity,
    /// Only these kinds; all where it is empty.
    pub kinds: Vec<String>,
    /// Seconds that one delivery may take.
    pub timeout: u64,
    /// How it carries them.
    pub via: Via,
}

/// The ways.
#[derive(Debug, Clone, PartialEq)]
pub enum Via {
    /// A line in the daemon's log.
    Journal,
    /// Mail over SMTP (RFC 5321).
    Email(Box<Email>),
    /// A POST over HTTP.
    Webhook(Box<Webhook>),
    /// A program that is given JSON on its standard input.
    Program {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// How mail is sent, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// The server's name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the way there is kept secret.
    pub security: Security,
    /// Who signs in; nobody where it is `None`.
    pub username: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// Fixed receivers of everything that passes the filter.
    pub to: Vec<String>,
    /// Whether officers of the register get what concerns them, at their own address.
    pub officers: bool,
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Transport security of a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// STARTTLS, which must succeed (RFC 3207).
    StartTls,
    /// None; only to this machine itself.
    None,
}

/// Where a POST goes, and in which form.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where.
    pub url: Address,
    /// In which form.
    pub format: Format,
    /// The file with the key that messages are signed with.
    pub secret_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Forms of a message to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// docket's own JSON.
    Docket,
    /// 企业微信 group robot.
    Wecom,
    /// 钉钉 group robot.
    Dingtalk,
    /// 飞书 group robot.
    Feishu,
}

/// A URL that is never shown but for its host: robots have their key in it.
#[derive(Clone, PartialEq)]
pub struct Address(pub Url);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or("?"))?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Channel {
    /// The channel that is there without settings: the daemon's log.
    pub fn journal() -> Self {
        Self {
            name: "journal".into(),
            severity: Severity::Info,
            kinds: Vec::new(),
            timeout: 30,
            via: Via::Journal,
        }
    }

    /// Whether an alert of this kind and severity is carried.
    pub fn carries(&self, kind: &str, severity: Severity) -> bool {
        severity >= self.severity && (self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind))
    }

    /// Whether programs read it, which want every change; people want what they must know.
    pub fn is_for_programs(&self) -> bool {
        match &self.via {
            Via::Journal | Via::Program { .. } => true,
            Via::Webhook(hook) => hook.format == Format::Docket,
            Via::Email(_) => false,
        }
    }
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn alerts(s: &mut Section) -> Alerts {
    let old = Alerts::default();
    Alerts {
        chinese: s.one_of("language", &["zh", "en"]).map_or(old.chinese, |l| l == "zh"),
        backup_days: s
            .number("backup_days", 1, 3660)
            .map_or(old.backup_days, |n| u32::try_from(n).unwrap_or(old.backup_days)),
    }
}

/// One `[[channel]]`; `None` where it has problems.
pub(super) fn channel(s: &mut Section, base: &Path) -> Option<Channel> {
    let name = s.name_of();
    let severity = s.one_of("severity", &["info", "warning", "critical"]);
    let severity = severity.and_then(|w| Severity::of(&w)).unwrap_or(Severity::Info);
    let kinds = s.strings("kinds").unwrap_or_default();
    for kind in kinds.iter().filter(|k| !KINDS.contains(&k.as_str())) {
        let line = format!("{} names `{kind}`, which is no kind of alert", s.key("kinds"));
        s.problem(line);
    }
    let timeout = s.number("timeout_seconds", 1, 600).unwrap_or(30);
    s.require("type");
    let via = match s.one_of("type", &["journal", "email", "webhook", "program"]).as_deref() {
        Some("journal") => Some(Via::Journal),
        Some("email") => email(s, base),
        Some("webhook") => webhook(s, base),
        Some("program") => program(s, base),
        _ => {
            // What belongs to a type that is not known is no mistake of its own.
            s.forget();
            None
        }
    };
    Some(Channel { name: name?, severity, kinds, timeout, via: via? })
}

fn email(s: &mut Section, base: &Path) -> Option<Via> {
    s.require("server");
    s.require("from");
    let server = s.string("server");
    let security = match s.one_of("security", &["tls", "starttls", "none"]).as_deref() {
        Some("starttls") => Security::StartTls,
        Some("none") => Security::None,
        _ => Security::Tls,
    };
    let usual = match security {
        Security::Tls => 465,
        Security::StartTls => 587,
        Security::None => 25,
    };
    let port = s.number("port", 1, 65_535).map_or(usual, |n| u16::try_from(n).unwrap_or(usual));
    if security == Security::None && server.as_ref().is_some_and(|host| !is_loopback(host)) {
        let line =
            format!("{} = \"none\" is only for a mail server on this machine itself", s.key("security"));
        s.problem(line);
    }
    let from = s.string("from");
    let to = s.strings("to").unwrap_or_default();
    for address in from.iter().chain(&to).filter(|a| a.parse::<Mailbox>().is_err()) {
        let line = format!("{}: `{address}` is not a mail address", s.key("from"));
        s.problem(line);
    }
    let officers = s.boolean("officers").unwrap_or(false);
    if to.is_empty() && !officers {
        let line = format!("{} reaches nobody: name addresses in `to`, or set officers = true", s.key("to"));
        s.problem(line);
    }
    let (username, password_file) = (s.string("username"), s.path_optional("password_file", base));
    if username.is_some() != password_file.is_some() {
        let line = format!("{}: `username` and `password_file` belong together", s.key("username"));
        s.problem(line);
    }
    let ca_file = s.path_optional("ca_file", base);
    Some(Via::Email(Box::new(Email {
        server: server?,
        port,
        security,
        username,
        password_file,
        from: from?,
        to,
        officers,
        ca_file,
    })))
}

fn webhook(s: &mut Section, base: &Path) -> Option<Via> {
    s.require("url");
    let insecure = s.boolean("insecure").unwrap_or(false);
    let url = s.string("url").and_then(|text| {
        // The text may have a key in it, so no problem quotes it.
        let url = Url::parse(&text).ok().filter(|u| u.host_str().is_some());
        let line = match &url {
            Some(url) if url.scheme() == "https" => return Some(Address(url.clone())),
            Some(url) if url.scheme() == "http" => {
                if insecure || is_loopback(url.host_str().unwrap_or_default()) {
                    return Some(Address(url.clone()));
                }
                format!("{} is not https; add insecure = true if it must be so", s.key("url"))
            }
            _ => format!("{} is no address that begins with https://", s.key("url")),
        };
        s.problem(line);
        None
    });
    let format = match s.one_of("format", &["docket", "wecom", "dingtalk", "feishu"]).as_deref() {
        Some("wecom") => Format::Wecom,
        Some("dingtalk") => Format::Dingtalk,
        Some("feishu") => Format::Feishu,
        _ => Format::Docket,
    };
    let secret_file = s.path_optional("secret_file", base);
    if format == Format::Wecom && secret_file.is_some() {
        let line = format!("{}: a robot of this kind has no signature", s.key("secret_file"));
        s.problem(line);
    }
    let ca_file = s.path_optional("ca_file", base);
    Some(Via::Webhook(Box::new(Webhook { url: url?, format, secret_file, ca_file })))
}

fn program(s: &mut Section, base: &Path) -> Option<Via> {
    s.require("command");
    let mut command = s.strings("command")?;
    let Some(first) = command.first_mut().filter(|c| !c.is_empty()) else {
        let line = format!("{} is empty: name a program", s.key("command"));
        s.problem(line);
        return None;
    };
    if first.contains('/') {
        *first = base.join(&*first).to_string_lossy().into_owned();
    }
    Some(Via::Program { command })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn problems(text: &str) -> String {
        Config::parse(text, Path::new("/d")).unwrap_err().join("\n")
    }

    #[test]
    fn channels_are_read_and_the_journal_stays() {
        let text = r#"
            [alerts]
            language = "en"
            backup_days = 3
            [[channel]]
            name = "mail"
            type = "email"
            server = "mail.example.cn"
            security = "starttls"
            from = "执法站 <docket@example.cn>"
            to = ["a@example.cn"]
            severity = "warning"
            kinds = ["backup-old"]
            [[channel]]
            name = "hook"
            type = "webhook"
            url = "http://127.0.0.1:1/x?key=geheim"
            format = "wecom"
            [[channel]]
            name = "script"
            type = "program"
            command = ["bin/tell", "-x"]
        "#;
        let c = Config::parse(text, Path::new("/d")).unwrap();
        assert_eq!(c.alerts, Alerts { chinese: false, backup_days: 3 });
        let names: Vec<_> = c.channels.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["journal", "mail", "hook", "script"]);
        assert!(c.channels[1].carries("backup-old", Severity::Warning));
        assert!(!c.channels[1].carries("backup-old", Severity::Info));
        assert!(!c.channels[1].carries("dock-fault", Severity::Critical));
        assert!(matches!(&c.channels[1].via, Via::Email(m) if m.port == 587));
        assert!(!format!("{c:?}").contains("geheim"), "{c:?}");
        assert!(matches!(&c.channels[3].via, Via::Program { command } if command[0] == "/d/bin/tell"));
    }

    #[test]
    fn every_problem_of_a_channel_is_named_and_no_key_is_shown() {
        let said = problems(
            r#"
            [alerts]
            language = "fr"
            [[channel]]
            type = "pigeon"
            wings = 2
            [[channel]]
            name = "m"
            type = "email"
            server = "mail.example.cn"
            security = "none"
            from = "nobody"
            username = "u"
            kinds = ["backup"]
            [[channel]]
            name = "w"
            type = "webhook"
            url = "http://example.cn/?key=geheim"
            [[channel]]
            name = "x"
            type = "webhook"
            url = "geheim"
            colour = 1
            [[channel]]
            name = "p"
            type = "program"
            command = []
            [[channel]]
            name = "m"
            type = "journal"
        "#,
        );
        for part in [
            "alerts.language",
            "channel[1].name is missing",
            "channel[1].type wants",
            "channel[2].security",
            "`nobody` is not a mail address",
            "reaches nobody",
            "belong together",
            "names `backup`",
            "channel[3].url is not https",
            "channel[4].url is no address",
            "channel[4].colour is not a setting",
            "channel[5].command is empty",
            "channel name `m` stands twice",
        ] {
            assert!(said.contains(part), "{part} not named in:\n{said}");
        }
        assert!(!said.contains("geheim") && !said.contains("wings"), "{said}");
    }
}
