//! What people read, in both languages of the house.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::base::{Error, zh};

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

/// Media facts in the custody log, as far as a person needs them there.
fn verdict(facts: &str) -> String {
    let facts: serde_json::Value = serde_json::from_str(facts).unwrap_or_default();
    let word = match facts["verdict"].as_str() {
        Some("playable") => "可播放",
        Some("cutoff") => "不完整",
        _ => "无法播放",
    };
    facts["reason"].as_str().map_or_else(|| word.to_owned(), |why| format!("{word}：{}", say(why)))
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

/// What `docket doctor` looked at.
pub fn subject(word: &str) -> Cow<'_, str> {
    Cow::Borrowed(match word {
        "settings" => t("settings", "配置"),
        "profiles" => t("profiles", "机型"),
        "clock" => t("clock", "时钟"),
        "catalogue" => t("catalogue", "编目数据库"),
        "daemon" => t("daemon", "采集服务"),
        other => return say(other),
    })
}

/// An action of the custody log.
pub fn action(word: &str) -> &str {
    let chinese = match word {
        "docking.begun" => "接入开始",
        "docking.state" => "接入状态变更",
        "docking.interrupted" => "接入中断",
        "recording.planned" => "列入采集",
        "recording.copying" => "开始采集",
        "recording.copied" => "采集完成",
        "recording.verified" => "校验通过",
        "recording.archived" => "归档",
        "recording.duplicate" => "判定为重复文件",
        "recording.probed" => "读取媒体信息",
        "recording.rebuilt" => "依清单重建",
        "recording.replicated" => "补齐副本",
        "recording.reverified" => "复核通过",
        "recording.damaged" => "发现损坏",
        "recording.missing" => "发现缺失",
        "recording.failed" => "采集失败",
        "recording.quarantined" => "隔离",
        "recording.restarted" => "重新采集",
        "recording.resumed" => "续传",
        "recording.owed" => "待补副本",
        "volume.forgotten" => "注销未使用的存储卷",
        "recording.restored" => "由存储卡补回",
        "recording.retry" => "待重试",
        "recording.copy" => "副本状态变更",
        "file.quarantined" => "文件隔离",
        "custody.key" => "启用保管密钥",
        "station.created" => "工作站创建",
        "station.checked" => "工作站检查",
        "volume.registered" => "存储卷登记",
        "volume.state" => "存储卷状态变更",
        other => return other,
    };
    if is_chinese() { chinese } else { word }
}

/// A detail of a custody entry, `name=value`.
pub fn detail(name: &str, value: &str) -> String {
    if !is_chinese() {
        return format!("{name}={value}");
    }
    let chinese = match name {
        "archived" => "归档",
        "card" => "卡路径",
        "dock" => "采集口",
        "docking" => "接入",
        "duplicates" => "重复",
        "failed" => "失败",
        "how" => "方式",
        "id" => "编号",
        "key" => "密钥",
        "known" => "此前已归档",
        "left" => "未采集",
        "mended" => "修正",
        "of" => "原编号",
        "offset" => "起始字节",
        "path" => "路径",
        "profile" => "机型",
        "profile_reason" => "机型依据",
        "reason" => "原因",
        "recorder" => "记录仪",
        "recorder_reason" => "记录仪依据",
        "replaces" => "所替换的密钥",
        "signature" => "签名",
        "size" => "大小",
        "source" => "源文件",
        "state" => "状态",
        "volume" => "存储卷",
        "volumes" => "存储卷数",
        "ended" => "已结束",
        "facts" => "媒体信息",
        "mtime_ns" => "修改时间（纳秒）",
        other => other,
    };
    let value = match name {
        "state" => Cow::Borrowed(state(value)),
        "how" => Cow::Borrowed(how(value)),
        "facts" => Cow::Owned(verdict(value)),
        _ => match value {
            "true" => Cow::Borrowed("是"),
            "false" => Cow::Borrowed("否"),
            other => say(other),
        },
    };
    format!("{chinese}={value}")
}
