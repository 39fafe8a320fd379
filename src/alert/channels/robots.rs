//! Group robots of 企业微信, 钉钉 and 飞书: the form of a message, its signature, and what their answers
//! mean. Pure. Messages are plain text: names from a card are shown, and never read as markup.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::base::config::channels::Format;

/// The most bytes of text that a robot takes: 企业微信 2048; 钉钉 20000 and 飞书 20 KiB for the whole body,
/// of which half is left for escapes.
pub fn most(format: Format) -> usize {
    match format {
        Format::Wecom => 2048,
        Format::Dingtalk | Format::Feishu => 8000,
        Format::Docket => usize::MAX,
    }
}

/// HMAC-SHA256 (RFC 2104). Every key length is allowed.
pub fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        },
    )
}

/// The body of a message, with 飞书's signature where there is a secret: the key is time (seconds) and
/// secret, and nothing is signed with it.
pub fn body(format: Format, text: &str, secret: Option<&str>, seconds: i64) -> Value {
    match format {
        Format::Feishu => {
            // 飞书 reads tags such as <at> in a text.
            let text = text.replace('<', "＜");
            let mut body = json!({ "msg_type": "text", "content": { "text": text } });
            if let Some(secret) = secret {
                let key = format!("{seconds}\n{secret}");
                body["timestamp"] = seconds.to_string().into();
                body["sign"] = STANDARD.encode(hmac(key.as_bytes(), b"")).into();
            }
            body
        }
        _ => json!({ "msgtype": "text", "text": { "content": text } }),
    }
}

/// The address of a message, with 钉钉's signature where there is a secret: time (milliseconds) and secret
/// are signed with the secret.
pub fn address(format: Format, url: &Url, secret: Option<&str>, millis: i64) -> Url {
    let mut url = url.clone();
    if let (Format::Dingtalk, Some(secret)) = (format, secret) {
        let sign = STANDARD.encode(hmac(secret.as_bytes(), format!("{millis}\n{secret}").as_bytes()));
        url.query_pairs_mut().append_pair("timestamp", &millis.to_string()).append_pair("sign", &sign);
    }
    url
}

/// What is wrong by a robot's answer: they say so with status 200. `None` where all is well.
pub fn refusal(format: Format, answer: &[u8]) -> Option<String> {
    if format == Format::Docket {
        return None;
    }
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let code = ["errcode", "code", "StatusCode"].iter().find_map(|key| answer[*key].as_i64());
    let said = ["errmsg", "msg", "StatusMessage"].iter().find_map(|key| answer[*key].as_str());
    let said: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    match code {
        Some(0) => None,
        Some(code) => {
            let said = [code.to_string(), said].join(" ");
            Some(format!("the robot refused the message: {said}"))
        }
        None => Some("the robot's answer is not one of a robot".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_what_the_robots_compute() {
        // RFC 4231, test case 2.
        assert_eq!(
            crate::base::text::hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // python3 -c 'import hmac,base64; print(base64.b64encode(hmac.digest(b"SEC1", b"1700000000000\nSEC1", "sha256")))'
        let url = Url::parse("https://oapi.dingtalk.com/robot/send?access_token=x").unwrap();
        let signed = address(Format::Dingtalk, &url, Some("SEC1"), 1_700_000_000_000);
        let pairs: Vec<_> = signed.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        assert_eq!(pairs[1], ("timestamp".into(), "1700000000000".into()));
        assert_eq!(pairs[2], ("sign".into(), "ukR4+WoOOBTGaOauYqugxVrMSFyr92q4hPxJxuOkiio=".into()));
        // python3 -c 'import hmac,base64; print(base64.b64encode(hmac.digest(b"1700000000\nSEC1", b"", "sha256")))'
        let body = body(Format::Feishu, "a<at user_id=\"all\">", Some("SEC1"), 1_700_000_000);
        assert_eq!(body["sign"], "s3Va4ru9IQUY6HTJcYx7OEVyXl0V0S/y32v4ZbfOHCI=");
        assert_eq!(body["content"]["text"], "a＜at user_id=\"all\">");
    }

    #[test]
    fn a_robot_s_status_200_may_be_a_refusal() {
        for (format, answer, refused) in [
            (Format::Wecom, r#"{"errcode":0,"errmsg":"ok"}"#, false),
            (Format::Wecom, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, true),
            (Format::Dingtalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#, true),
            (Format::Feishu, r#"{"code":0,"msg":"success","StatusCode":0}"#, false),
            (Format::Feishu, r#"{"code":19021,"msg":"sign match fail"}"#, true),
            (Format::Feishu, "<html>a captive portal</html>", true),
            (Format::Docket, "whatever", false),
        ] {
            assert_eq!(refusal(format, answer.as_bytes()).is_some(), refused, "{answer}");
        }
    }
}
