//! What people read, in both languages of the house.

mod entries;
mod people;

use std::borrow::Cow;
use std::sync::OnceLock;

pub use self::entries::{action, detail};
pub use self::people::{actor, badge};
use crate::access::Role;
use crate::base::{Error, zh};
use crate::cases::terms;

static CHINESE: OnceLock<bool> = OnceLock::new();

/// Chooses the language: `zh` or `en`; without a choice the locale decides (LC_ALL, LC_MESSAGES, LANG).
pub fn choose(lang: Option<&str>) {
    let locale = || {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|v| std::env::var(v).ok().filter(|v| !v.is_empty()))
            .unwrap_or_default()
    };
    let zh = lang.map_or_else(|| locale().starts_with("zh"), |l| l == "zh");
    let _ = CHINESE.set(zh);
}

/// Whether Chinese was chosen.
pub fn is_chinese() -> bool {
    CHINESE.get().copied().unwrap_or(false)
}

/// The text in the chosen language.
pub fn t(en: &'static str, zh: &'static str) -> &'static str {
    if is_chinese() { zh } else { en }
}

/// A volume's state as people read it.
pub fn volume(word: &str) -> &str {
    match word {
        "missing" => t("missing", "未找到"),
        other => state(other),
    }
}

/// A state word of the catalogue as people read it.
pub fn state(word: &str) -> &str {
    match word {
        "archived" => t("archived", "已归档"),
        "damaged" => t("damaged", "已损坏"),
        "missing" => t("missing", "文件缺失"),
        "owed" => t("copy owed", "待补副本"),
        "planned" => t("planned", "待采集"),
        "copying" => t("copying", "采集中"),
        "copied" => t("copied, to be read back", "待校验"),
        "verified" => t("verified, to be filed", "待入库"),
        "retry" => t("to be tried again", "待重试"),
        "failed" => t("failed", "采集失败"),
        "quarantined" => t("quarantined", "已隔离"),
        "looking" => t("looking", "识别中"),
        "safe" => t("safe to take", "可取走"),
        "attention" => t("needs attention", "需处理"),
        "vanished" => t("taken too early", "提前拔出"),
        "interrupted" => t("interrupted", "已中断"),
        "cancelled" => t("stopped", "已停止"),
        "online" => t("online", "在线"),
        "full" => t("full", "空间不足"),
        "foreign" => t("foreign", "非本站存储卷"),
        "in_service" => t("in service", "在用"),
        "lent" => t("lent", "借出"),
        "broken" => t("broken", "故障"),
        "retired" => t("retired", "报废"),
        other => other,
    }
}

/// A message of docket in the chosen language; names and what nobody translated stay as they are.
pub fn say(english: &str) -> Cow<'_, str> {
    if is_chinese() { zh::render(english) } else { Cow::Borrowed(english) }
}

/// An error with its advice, on lines of their own.
pub fn error(e: &Error) -> String {
    match e.advice() {
        Some(next) => format!("{}\n  {}{}", say(e.what()), t("next: ", "处理："), say(next)),
        None => say(e.what()).into_owned(),
    }
}

/// What a recording's time was taken from.
pub fn time_rule(rule: &str) -> Cow<'_, str> {
    if rule == "name" { Cow::Borrowed(t("name", "依据文件名")) } else { say(rule) }
}

/// A text and what is to be said beside it, in brackets.
pub fn noted(text: &str, beside: &str) -> String {
    format!("{text}{}{beside}{}", t(" (", "（"), t(")", "）"))
}

/// A role as people read it.
pub fn role(role: Role) -> &'static str {
    terms::role_word(role, is_chinese())
}

/// The kind of a recording.
pub fn kind(word: &str) -> &str {
    match word {
        "video" => t("video", "视频"),
        "audio" => t("audio", "音频"),
        "photo" => t("photo", "照片"),
        "sidecar" => t("sidecar", "附属文件"),
        "log" => t("log", "日志"),
        "document" => t("document", "文档"),
        other => other,
    }
}

/// How a copy was looked at.
pub fn how(word: &str) -> &str {
    match word {
        "direct" => t("direct", "绕过缓存直接读取"),
        "cache-dropped" => t("cache-dropped", "清除缓存后读取"),
        "size" => t("size", "仅核对大小"),
        "unreadable" => t("unreadable", "无法读取"),
        other => other,
    }
}

/// Whether a step needs footage.
pub fn av(word: &str) -> &str {
    match word {
        "required" => t("required", "必录"),
        "recommended" => t("recommended", "宜录"),
        "optional" => t("optional", "可录"),
        other => other,
    }
}

/// Who may know of a recording or a case.
pub fn class(word: &str) -> &str {
    match word {
        "unclassified" => t("unclassified", "未定类"),
        "public" => t("public", "公开"),
        "internal" => t("internal", "内部"),
        "privacy" => t("privacy", "个人隐私"),
        "commercial" => t("commercial secret", "商业秘密"),
        "secret" => t("state secret", "国家秘密"),
        other => other,
    }
}

/// The ground of an exemption.
pub fn ground(word: &str) -> &str {
    match word {
        "device_fault" => t("device fault", "设备故障"),
        "party_uncooperative" => t("party does not cooperate", "当事人不配合"),
        "severe_weather" => t("severe weather", "恶劣天气及其他自然灾害"),
        "other" => t("other", "其他"),
        other => other,
    }
}

/// How long footage is kept.
pub fn retention(word: &str) -> String {
    match (word, word.split_once(' ')) {
        ("case", _) => t("as the case file", "同案卷保留期限").to_owned(),
        ("permanent", _) => t("permanently", "永久").to_owned(),
        (_, Some((n, unit))) if is_chinese() => match unit {
            "days" => format!("{n} 天"),
            "months" => format!("{n} 个月"),
            "years" => format!("{n} 年"),
            _ => word.to_owned(),
        },
        _ => word.to_owned(),
    }
}

/// What `docket doctor` looked at.
pub fn subject(word: &str) -> Cow<'_, str> {
    Cow::Borrowed(match word {
        "settings" => t("settings", "配置"),
        "profiles" => t("profiles", "机型"),
        "clock" => t("clock", "时钟"),
        "catalogue" => t("catalogue", "编目数据库"),
        "daemon" => t("daemon", "采集服务"),
        "custody key" => t("custody key", "保管密钥"),
        "checkpoint" => t("checkpoint", "检查点"),
        "alerts" => t("alerts", "告警"),
        "units" => t("units", "单位"),
        "witness" => t("witness", "见证"),
        "metrics" => t("metrics", "监测指标"),
        other => return say(other),
    })
}
