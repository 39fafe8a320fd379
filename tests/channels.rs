//! Channels against real receivers: what arrives, what fails, and that nothing is lost or holds up others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use common::post::{Answer, Http, Mail, Post, certificate, settings, start, trouble};
use common::tools::{expect_exit, json_of, until};
use common::{Station, stderr};
use docket::alert::{Condition, Kind, Severity};
use docket::base::clock::rfc3339;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[channel]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\ntimeout_seconds = 2\n{more}\n"
    )
}

/// The log carries nothing here, so that the one message is the other channel's.
const JOURNAL_OFF: &str = "[[channel]]\nname = \"journal\"\ntype = \"journal\"\nseverity = \"critical\"\n";

fn secret(dir: &Path, name: &str, text: &str) {
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_webhook_s_message_is_signed_and_whole() {
    let http = Http::new(vec![Answer::status(204)]);
    let station = Station::with_config(&settings(&hook("hook", &http.url("/in"), "secret_file = \"key\"")));
    secret(&station.data(), "key", "geheim\n");
    let mut post = Post::open(&station);
    let id = post.raise(&trouble("station"), 0);
    post.run();
    let got = http.wait(1).remove(0);
    assert_eq!(got.line, "POST /in HTTP/1.1");
    let at = got.header("X-Docket-Timestamp").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"geheim").unwrap();
    mac.update(format!("{at}.{}", got.body).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(got.header("X-Docket-Signature").unwrap(), format!("sha256={hex}"));
    let body = got.json();
    assert_eq!(Some(body["key"].as_str().unwrap().to_owned()), got.header("Idempotency-Key"));
    let alert = &body["alerts"][0];
    assert_eq!(
        (alert["id"].as_i64(), alert["kind"].as_str(), alert["event"].as_str(), alert["opened_at"].as_str()),
        (Some(id), Some("backup-old"), Some("opened"), Some(rfc3339(start()).as_str()))
    );
    assert_eq!(alert["message_zh"], "尚未做过备份");
    post.letter(id, "hook", "sent", |l| l.state == "sent");
    // The log had it too.
    post.letter(id, "journal", "logged", |l| l.state == "sent");
}

/// Takes one message over TLS.
const HTTPS: &str = r#"
import http.server, ssl, sys
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Taker)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[test]
fn https_goes_by_the_certificates_of_the_intranet_and_no_others() {
    let station = Station::bare("");
    let Some((certificate, key)) = certificate(&station.data()) else { return };
    let mut server = Command::new("python3")
        .args(["-c", HTTPS])
        .args([certificate, key])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let url = format!("https://localhost:{}/", port.trim());
    let channels = hook("with", &url, "ca_file = \"ca.pem\"") + &hook("without", &url, "");
    std::fs::write(station.data().join("docket.toml"), settings(&channels)).unwrap();
    station.ok(&["init"]);
    let with = station.run(&["alerts", "test-channel", "with"]);
    let without = station.run(&["alerts", "test-channel", "without"]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(with.status.success(), "{}", stderr(&with));
    expect_exit(&without, 1, &["cannot reach localhost", "certificate"]);
}

/// A machine without any certificates still reaches a receiver that asks for none.
#[test]
fn plain_http_needs_no_certificates() {
    let http = Http::new(vec![Answer::status(200)]);
    let station = Station::with_config(&settings(&hook("hook", &http.url("/"), "")));
    let mut command = station.command(&["alerts", "test-channel", "hook"]);
    let none = station.dir.path().join("none");
    let out = command.env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", &none).output().unwrap();
    expect_exit(&out, 0, &[]);
    assert_eq!(http.got().len(), 1);
}

#[test]
fn a_credential_of_the_service_goes_before_the_file() {
    let http = Http::new(vec![Answer::status(200)]);
    let station = Station::with_config(&settings(&hook("hook", &http.url("/"), "secret_file = \"key\"")));
    // No file at all is a clear error; one that others may read is another.
    expect_exit(&station.run(&["alerts", "test-channel", "hook"]), 1, &["key", "chmod 600"]);
    std::fs::write(station.data().join("key"), "of the file").unwrap();
    std::fs::set_permissions(station.data().join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    expect_exit(&station.run(&["alerts", "test-channel", "hook"]), 1, &["others may read", "chmod 600"]);
    let given = station.card("given");
    std::fs::write(given.join("key"), "of the service\n").unwrap();
    let mut command = station.command(&["alerts", "test-channel", "hook"]);
    assert!(command.env("CREDENTIALS_DIRECTORY", &given).status().unwrap().success());
    let got = http.wait(1).remove(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(b"of the service").unwrap();
    mac.update(format!("{}.{}", got.header("X-Docket-Timestamp").unwrap(), got.body).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(got.header("X-Docket-Signature").unwrap(), format!("sha256={hex}"));
    assert_eq!(got.json()["test"], true);
}

#[test]
fn what_may_have_arrived_is_sent_again_under_its_key_and_what_is_new_follows() {
    let http = Http::new(vec![Answer::status(500), Answer::Half(502), Answer::status(200)]);
    let station = Station::with_config(&settings(&hook("hook", &http.url("/"), "")));
    let mut post = Post::open(&station);
    let id = post.raise(&trouble("station"), 0);
    post.run();
    let failed = post.letter(id, "hook", "a try", |l| l.attempts == 1);
    assert_eq!(failed.state, "waiting");
    assert!(failed.error.unwrap().contains("status 500"));
    // Not before its time.
    post.pass(TimeDelta::seconds(59));
    let other = post.raise(&trouble("other"), 0);
    let got = http.wait(2);
    assert_eq!(got[1].json()["alerts"][0]["id"], other, "{got:?}");
    post.letter(other, "hook", "a try", |l| l.attempts == 1);
    post.pass(TimeDelta::seconds(2));
    post.letter(id, "hook", "the second try", |l| l.state == "sent");
    let got = http.wait(3);
    assert_eq!(got[2].json()["alerts"][0]["id"], id);
    let key = |n: usize| got[n].header("Idempotency-Key").unwrap();
    assert!(key(0) == key(2) && key(0) != key(1), "{got:?}");
    post.pass(TimeDelta::seconds(60));
    let sent = post.letter(other, "hook", "the other", |l| l.state == "sent");
    assert_eq!((sent.attempts, sent.error), (2, None));
    let again = http.wait(4);
    assert_eq!(again[3].header("Idempotency-Key"), Some(key(1)));
}

#[test]
fn news_uses_up_no_tries_of_what_failed_and_success_hurries_it() {
    // 401 is a plain no: what was refused may go out with other things later.
    let http = Http::new(vec![Answer::status(401), Answer::status(401), Answer::status(200)]);
    let station = Station::with_config(&settings(&hook("hook", &http.url("/"), "")));
    let mut post = Post::open(&station);
    post.run();
    let first = post.raise(&trouble("a"), 0);
    post.letter(first, "hook", "a try", |l| l.attempts == 1 && l.message.is_none());
    let second = post.raise(&trouble("b"), 0);
    post.letter(second, "hook", "a try", |l| l.attempts == 1);
    let third = post.raise(&trouble("c"), 0);
    for (id, attempts) in [(third, 1), (first, 2), (second, 2)] {
        let sent = post.letter(id, "hook", "sent", |l| l.state == "sent");
        assert_eq!(sent.attempts, attempts);
    }
    let got = http.got();
    let told: Vec<_> = got.iter().map(|r| r.json()["alerts"].as_array().unwrap().len()).collect();
    assert_eq!(told, [1, 1, 1, 2], "the two that failed come in one message");
}

#[test]
fn a_receiver_that_hangs_holds_up_no_other() {
    let (slow, quick) = (Http::new(vec![Answer::Hang]), Http::new(vec![Answer::status(200)]));
    let channels = hook("slow", &slow.url("/"), "") + &hook("quick", &quick.url("/"), "");
    let station = Station::with_config(&settings(&channels));
    let mut post = Post::open(&station);
    post.run();
    let first = post.raise(&trouble("a"), 0);
    slow.wait(1);
    // While the one is waited for, the other has it all.
    let second = post.raise(&trouble("b"), 0);
    for id in [first, second] {
        post.letter(id, "quick", "sent", |l| l.state == "sent");
    }
    let failed = post.letter(first, "slow", "given up waiting", |l| l.attempts == 1);
    let error = failed.error.unwrap();
    assert!(error.contains("no answer") || error.contains("timed out"), "{error}");
    assert!(failed.message.is_some(), "it may have arrived: its message stays as it is");
}

#[test]
fn no_redirect_leads_to_another_host_or_turns_into_a_get() {
    let other = Http::new(vec![Answer::status(200)]);
    for (answers, sent, hits) in [
        (vec![Answer::to(307, &other.url("/elsewhere"))], false, 1),
        (vec![Answer::to(302, "/b")], false, 1),
        (vec![Answer::to(308, "/b"), Answer::status(200)], true, 2),
        (vec![Answer::to(307, "/b")], false, 4),
    ] {
        let http = Http::new(answers.clone());
        let station = Station::with_config(&settings(&hook("hook", &http.url("/a"), "")));
        let mut post = Post::open(&station);
        let id = post.raise(&trouble("station"), 0);
        post.run();
        let end = post.letter(id, "hook", "an end", |l| l.attempts == 1);
        assert_eq!(end.state == "sent", sent, "{answers:?}: {end:?}");
        let got = http.got();
        assert_eq!(got.len(), hits, "{answers:?}: {got:?}");
        assert!(got.iter().all(|r| r.line.starts_with("POST") && r.body.contains("backup-old")), "{got:?}");
    }
    assert!(other.got().is_empty(), "{:?}", other.got());
}

#[test]
fn robots_get_their_form_and_their_refusals_are_failures() {
    for (format, good, bad, text) in [
        (
            "wecom",
            r#"{"errcode":0,"errmsg":"ok"}"#,
            r#"{"errcode":93000,"errmsg":"invalid"}"#,
            "/text/content",
        ),
        ("dingtalk", r#"{"errcode":0}"#, r#"{"errcode":310000,"errmsg":"sign not match"}"#, "/text/content"),
        (
            "feishu",
            r#"{"code":0,"msg":"success"}"#,
            r#"{"code":19021,"msg":"sign match fail"}"#,
            "/content/text",
        ),
    ] {
        let http = Http::new(vec![Answer::says(bad), Answer::Half(200), Answer::says(good)]);
        let signed = if format == "wecom" { "" } else { "secret_file = \"key\"" };
        let more = format!("format = \"{format}\"\n{signed}");
        let station =
            Station::with_config(&settings(&hook("robot", &http.url("/send?access_token=tok"), &more)));
        secret(&station.data(), "key", "SEC1");
        let mut post = Post::open(&station);
        let c = Condition::new(Kind::DockFault, "dock:<at user_id=\"all\">", Severity::Warning, "x");
        let id = post.raise(&c, 0);
        post.run();
        let refused = post.letter(id, "robot", "a refusal", |l| l.attempts == 1);
        assert!(refused.error.as_ref().unwrap().contains("refused"), "{refused:?}");
        assert_eq!(refused.message, None, "it did not arrive");
        post.pass(TimeDelta::minutes(2));
        // An answer that never ends is none.
        let cut = post.letter(id, "robot", "half an answer", |l| l.attempts == 2);
        assert_eq!(cut.state, "waiting");
        post.pass(TimeDelta::minutes(3));
        post.letter(id, "robot", "sent", |l| l.state == "sent");
        let got = http.wait(3).remove(2);
        let said = got.json().pointer(text).unwrap().as_str().unwrap().to_owned();
        assert!(said.contains("采集口") && said.contains(&format!("docket alerts ack {id}")), "{said}");
        if format == "dingtalk" {
            assert!(got.line.contains("&timestamp=") && got.line.contains("&sign="), "{}", got.line);
        }
        if format == "feishu" {
            assert!(got.json()["sign"].is_string() && !said.contains('<'), "{said}");
        }
    }
}

#[test]
fn keys_and_secrets_are_in_no_message_of_ours() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/send?key=geheim");
    let station = Station::with_config(&settings(&hook("robot", &url, "format = \"wecom\"")));
    let out = station.run(&["alerts", "test-channel", "robot"]);
    expect_exit(&out, 1, &["127.0.0.1", "next:"]);
    assert!(!stderr(&out).contains("geheim"), "{}", stderr(&out));
    let mut post = Post::open(&station);
    let id = post.raise(&trouble("station"), 0);
    post.run();
    let failed = post.letter(id, "robot", "a try", |l| l.attempts == 1);
    assert!(!failed.error.unwrap().contains("geheim"));
    assert_eq!(failed.message, None, "nobody was reached");
}

fn mail(port: u16, security: &str, more: &str) -> String {
    format!(
        "[[channel]]\nname = \"mail\"\ntype = \"email\"\nserver = \"localhost\"\nport = {port}\n\
         security = \"{security}\"\nfrom = \"docket@example.cn\"\nto = [\"a@example.cn\", \"b@example.cn\"]\n\
         timeout_seconds = 5\n{more}\n"
    )
}

#[test]
fn mail_goes_over_tls_and_starttls_with_a_password() {
    for security in ["tls", "starttls"] {
        let station = Station::bare("");
        let Some(server) = Mail::new(&station.data(), security) else { return };
        let more = "username = \"docket\"\npassword_file = \"password\"\nca_file = \"ca.pem\"";
        let text = settings(&mail(server.port, security, more));
        std::fs::write(station.data().join("docket.toml"), &text).unwrap();
        station.ok(&["init"]);
        secret(&station.data(), "password", "geheim\n");
        let mut post = Post::open(&station);
        let id = post.raise(&trouble("station"), 0);
        post.run();
        let mails = server.wait(2);
        let mut to: Vec<_> = mails.iter().map(|m| m["to"][0].as_str().unwrap()).collect();
        to.sort_unstable();
        assert_eq!(to, ["a@example.cn", "b@example.cn"]);
        for m in &mails {
            assert_eq!((m["tls"].as_bool(), m["user"].as_str()), (Some(true), Some("docket")), "{m}");
            assert_eq!(m["subject"], "docket：[警告] 尚未做过备份");
            let body = m["body"].as_str().unwrap();
            assert!(body.contains("2026-11-24 ") && body.contains("请备份到另一台机器"), "{body}");
        }
        assert_ne!(mails[0]["id"], mails[1]["id"]);
        until("both noted", || post.letters(id).iter().all(|l| l.state == "sent").then_some(()));
        drop(post);
        // A wrong password and an unknown certificate are clear errors, and the password is in none.
        secret(&station.data(), "password", "falsch");
        let out = station.run(&["alerts", "test-channel", "mail"]);
        expect_exit(&out, 1, &["mail server localhost", "next:"]);
        assert!(!stderr(&out).contains("falsch"), "{}", stderr(&out));
        secret(&station.data(), "password", "geheim");
        std::fs::write(station.data().join("docket.toml"), text.replace("ca_file = \"ca.pem\"", "")).unwrap();
        let out = station.run(&["alerts", "test-channel", "mail"]);
        expect_exit(&out, 1, &["mail server localhost"]);
        assert!(stderr(&out).to_lowercase().contains("certificate"), "{}", stderr(&out));
        assert_eq!(server.got().len(), 2);
    }
}

/// A mail server that goes away in the middle of the first message, and takes the second.
fn dying_server() -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut mails = Vec::new();
        for dies in [true, false] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut say = |line: &str| stream.write_all(format!("{line}\r\n").as_bytes());
            say("220 here").unwrap();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 0 {
                let word = line.trim().to_uppercase();
                line.clear();
                if word != "DATA" {
                    say(if word == "QUIT" { "221 bye" } else { "250 yes" }).unwrap();
                    continue;
                }
                say("354 go on").unwrap();
                let mut text = String::new();
                while reader.read_line(&mut text).unwrap_or(0) > 0 && !text.ends_with("\r\n.\r\n") {}
                mails.push(text);
                if dies {
                    break;
                }
                say("250 taken").unwrap();
            }
        }
        mails
    });
    (port, thread)
}

#[test]
fn a_mail_server_that_dies_in_a_message_gets_it_again_under_its_id() {
    let (port, server) = dying_server();
    let more = mail(port, "none", "").replace(", \"b@example.cn\"", "");
    let station = Station::with_config(&settings(&more));
    let mut post = Post::open(&station);
    let id = post.raise(&trouble("station"), 0);
    post.run();
    let failed = post.letter(id, "mail", "a try", |l| l.attempts == 1);
    assert!(failed.error.unwrap().contains("mail server localhost"));
    post.pass(TimeDelta::minutes(2));
    post.letter(id, "mail", "sent", |l| l.state == "sent");
    let mails = server.join().unwrap();
    let ids: Vec<_> = mails
        .iter()
        .map(|m| m.lines().find(|l| l.to_lowercase().starts_with("message-id:")).unwrap().to_owned())
        .collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
}

#[test]
fn a_program_gets_json_and_one_that_hangs_is_killed_with_all_it_started() {
    let station = Station::bare("");
    let dir = station.dir.path().to_owned();
    let script =
        format!("cat > {0}/got; sleep 1000 & echo $! > {0}/pid; test -e {0}/well || wait", dir.display());
    let channel = format!(
        "[[channel]]\nname = \"script\"\ntype = \"program\"\ntimeout_seconds = 1\ncommand = [\"sh\", \"-c\", '{script}']\n"
    );
    std::fs::write(station.data().join("docket.toml"), settings(&channel)).unwrap();
    station.ok(&["init"]);
    let mut post = Post::open(&station);
    let id = post.raise(&trouble("station"), 0);
    post.run();
    let failed = post.letter(id, "script", "a try", |l| l.attempts == 1);
    assert!(failed.error.unwrap().contains("no answer within 1 s"));
    let pid = std::fs::read_to_string(dir.join("pid")).unwrap();
    let gone = || !Path::new("/proc").join(pid.trim()).join("exe").exists();
    until("the end of what it started", || gone().then_some(()));
    std::fs::write(dir.join("well"), "").unwrap();
    post.pass(TimeDelta::minutes(2));
    post.letter(id, "script", "sent", |l| l.state == "sent");
    let got: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("got")).unwrap()).unwrap();
    assert_eq!((&got["test"], &got["alerts"][0]["id"]), (&false.into(), &id.into()));
}

#[test]
fn what_leaves_the_group_of_a_program_is_killed_too() {
    let station = Station::bare("");
    let dir = station.dir.path().to_owned();
    // In a session of its own, without a parent, and it reads nothing.
    let script = format!("setsid sh -c \"echo \\$\\$ > {0}/pid; exec sleep 1000\" & wait", dir.display());
    let channel = format!(
        "[[channel]]\nname = \"script\"\ntype = \"program\"\ntimeout_seconds = 1\ncommand = [\"sh\", \"-c\", '{script}']\n"
    );
    std::fs::write(station.data().join("docket.toml"), settings(&channel)).unwrap();
    station.ok(&["init"]);
    let mut post = Post::open(&station);
    let id = post.raise(&trouble("station"), 0);
    post.run();
    post.letter(id, "script", "a try", |l| l.attempts == 1);
    let pid = std::fs::read_to_string(dir.join("pid")).unwrap();
    let gone = || !Path::new("/proc").join(pid.trim()).join("exe").exists();
    until("the end of what it started", || gone().then_some(()));
}

#[test]
fn the_end_of_an_alert_is_not_told_before_its_beginning() {
    // 401 is a plain no.
    let http = Http::new(vec![Answer::status(401), Answer::status(200)]);
    let station = Station::with_config(&settings(&hook("hook", &http.url("/"), "")));
    let mut post = Post::open(&station);
    post.run();
    let first = post.raise(&trouble("a"), 0);
    post.letter(first, "hook", "a try", |l| l.attempts == 1 && l.message.is_none());
    post.resolve(Kind::BackupOld, "a");
    let waits = post.letter(first, "hook", "the end", |l| l.event == "resolved");
    assert_eq!((waits.state.as_str(), waits.attempts), ("waiting", 0), "{waits:?}");
    post.pass(TimeDelta::minutes(2));
    post.letter(first, "hook", "the end", |l| l.event == "resolved" && l.state == "sent");
    let sent = |event: &str| post.letter(first, "hook", event, |l| l.event == event).message;
    assert_eq!(sent("opened"), sent("resolved"), "they come together");
    assert_eq!(http.got().len(), 2);
}

#[test]
fn messages_of_a_removed_channel_are_kept_for_a_day() {
    let http = Http::new(vec![Answer::status(200)]);
    let hook = hook("hook", &http.url("/"), "");
    let station = Station::with_config(&settings(&hook));
    let file = station.data().join("docket.toml");
    let set = |post: &Post, channels: &str| {
        std::fs::write(&file, settings(channels)).unwrap();
        let config = docket::base::config::Config::load(&file).unwrap();
        post.open.set_settings(docket::ingest::station::Settings::load(config).unwrap());
        post.ring();
    };
    let gone = "the settings have no such channel any more";
    for comes_back in [true, false] {
        let mut post = Post::open(&station);
        let id = post.raise(&trouble(&comes_back.to_string()), 0);
        set(&post, "");
        post.run();
        let kept = post.letter(id, "hook", "keeping", |l| l.error.as_deref() == Some(gone));
        assert_eq!((kept.state.as_str(), kept.attempts), ("waiting", 0));
        post.pass(TimeDelta::hours(23));
        if comes_back {
            set(&post, &hook);
            post.letter(id, "hook", "delivery", |l| l.state == "sent");
        } else {
            post.pass(TimeDelta::hours(2));
            post.letter(id, "hook", "the end of it", |l| l.state == "dropped");
            let shown = json_of(&station.run(&["alerts", "outbox", "--json"]));
            assert!(shown.as_array().unwrap().iter().any(|l| l["state"] == "dropped"), "{shown}");
        }
    }
}

/// Not a test of its own: the next one runs it in a process that is killed.
#[test]
fn deliver_until_killed() {
    let Some(data) = std::env::var_os("DOCKET_TEST_DELIVERS") else { return };
    let mut post = Post::of(Path::new(&data));
    post.run();
    until("the end of this process", || None::<()>);
}

#[test]
fn killed_between_sending_and_noting_it_is_sent_again_with_its_key() {
    for (point, times) in [("outbox.taken", 1), ("outbox.sent", 2)] {
        let http = Http::new(vec![Answer::status(200)]);
        let station =
            Station::with_config(&settings(&(JOURNAL_OFF.to_owned() + &hook("hook", &http.url("/"), ""))));
        let post = Post::open(&station);
        let id = post.raise(&trouble("station"), 0);
        drop(post);
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deliver_until_killed", "--nocapture"])
            .env("DOCKET_TEST_DELIVERS", station.data())
            .env("DOCKET_FAILPOINT", point)
            .status()
            .unwrap();
        assert!(!status.success(), "{status}");
        let mut post = Post::open(&station);
        post.run();
        post.letter(id, "hook", "sent", |l| l.state == "sent");
        let got = http.got();
        let keys: std::collections::BTreeSet<_> = got.iter().map(|r| r.header("Idempotency-Key")).collect();
        assert_eq!((got.len(), keys.len()), (times, 1), "{point}: {got:?}");
    }
}
