//! What people read, in both languages of the house.

use std::sync::OnceLock;

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

/// The text in the chosen language.
pub fn t(en: &'static str, zh: &'static str) -> &'static str {
    if CHINESE.get().copied().unwrap_or(false) { zh } else { en }
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
        "attention" => t("needs attention", "异常"),
        "vanished" => t("taken too early", "提前拔出"),
        "interrupted" => t("interrupted", "已中断"),
        "cancelled" => t("stopped", "已停止"),
        "online" => t("online", "在线"),
        "full" => t("full", "空间不足"),
        "foreign" => t("foreign", "非本站存储卷"),
        other => other,
    }
}
