//! Entries of the custody log as people read them.

use std::borrow::Cow;

use super::{class, ground, how, is_chinese, role, say, state, t};
use crate::access::Role;
use crate::alert::{self, Event, message};
use crate::cli::output;

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
        "recording.late" => "逾期归档",
        "recording.not-late" => "逾期归档撤销",
        "case.late" => "案卷逾期归档",
        "case.not-late" => "案卷逾期归档撤销",
        "station.clock-set" => "本站时钟调整",
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
        "alert.opened" => "告警产生",
        "alert.updated" => "告警变更",
        "alert.escalated" => "告警升级",
        "alert.acknowledged" => "告警确认",
        "alert.resolved" => "告警解除",
        "alert.told" => "告警送达",
        "alert.untold" => "告警未送达",
        "channel.revived" => "重新发送",
        "station.backed-up" => "编目数据库备份",
        "station.created" => "工作站创建",
        "station.checked" => "工作站检查",
        "volume.registered" => "存储卷登记",
        "volume.state" => "存储卷状态变更",
        "case.opened" => "立案建卷",
        "case.changed" => "案卷变更",
        "case.officers" => "承办人员变更",
        "case.step" => "环节变更",
        "case.step_waived" => "确认环节未发生",
        "case.act_ended" => "执法行为终结",
        "case.closed" => "结案",
        "case.reopened" => "重新启卷",
        "case.linked" | "recording.linked" => "关联",
        "case.unlinked" | "recording.unlinked" => "解除关联",
        "recording.classified" => "定类",
        "exemption.proposed" => "免录提出",
        "exemption.reviewed" => "免录审核",
        "exemption.approved" => "免录批准",
        "exemption.rejected" => "免录驳回",
        "exemption.withdrawn" => "免录撤回",
        "unit.added" => "单位登记",
        "unit.changed" => "单位信息变更",
        "unit.closed" => "单位撤销",
        "unit.reopened" => "单位恢复使用",
        "officer.added" => "人员登记",
        "officer.changed" => "人员信息变更",
        "officer.left" => "人员离岗",
        "officer.rejoined" => "人员返岗",
        "recorder.added" => "记录仪登记",
        "recorder.changed" => "记录仪信息变更",
        "recorder.retired" => "记录仪报废",
        "issue.made" => "记录仪领用",
        "issue.returned" => "记录仪归还",
        "issue.corrected" => "领用记录更正",
        "issue.voided" => "领用记录作废",
        other => return other,
    };
    if is_chinese() { chinese } else { word }
}

/// A detail of a custody entry, `name=value`.
pub fn detail(name: &str, value: &str) -> String {
    let plain = plain(value);
    let value = plain.as_str();
    if !is_chinese() {
        return format!("{name}={value}");
    }
    // What a fact was before it changed.
    if let Some(name) = name.strip_prefix("old_") {
        return format!("原{}", detail(name, value));
    }
    let chinese = match name {
        "about" => "对象",
        "ahead_ms" => "时钟超前（毫秒）",
        "left" if value == "true" || value == "false" => "已离岗",
        "archived" => "归档",
        "channel" => "通道",
        "dead" => "已放弃",
        "entries" => "记录数",
        "error" => "错误",
        "event" => "事件",
        "free" => "可用字节",
        "head" => "最新链值",
        "kind" => "类型",
        "last_at" => "上次时间",
        "level" => "升级层级",
        "message" => "内容",
        "messages" => "消息数",
        "note" => "备注",
        "recipient" => "接收人",
        "resolution" => "解除原因",
        "severity" => "级别",
        "card" => "卡路径",
        "checkpoint" => "检查点",
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
        "added" => "增加",
        "address" => "地址",
        "applies" => "是否发生",
        "automatic" => "自动",
        "by" => "办理人",
        "case" => "案卷",
        "case_days" => "归档天数",
        "checklist" => "音像记录清单",
        "classification" => "类别标识",
        "clip" => "片段",
        "ended_at" => "终结时间",
        "exemption" => "免录",
        "from" => "开始时间",
        "ground" => "事由",
        "link" => "关联",
        "officers" => "承办人",
        "opened_at" => "立案时间",
        "parties" => "当事人",
        "recording" => "录音录像",
        "remark" => "意见",
        "removed" => "移出",
        "deadline" => "时限",
        "deadline_earliest" => "最早时限",
        "late_by_seconds" => "逾期（秒）",
        "seconds" => "秒数",
        "stage" => "办理阶段",
        "step" => "环节",
        "title" => "案由",
        "to" => "结束时间",
        "told" => "文字事项",
        "unit" => "单位",
        "was" => "原为",
        "was_closed_at" => "原结案时间",
        "why" => "理由",
        "archive_hours" => "归档时限（小时）",
        "closed" => "已撤销",
        "digest" => "每日汇总时间",
        "email" => "邮箱",
        "issued_at" => "领用时间",
        "issued_battery" => "领用时电量（%）",
        "issued_clock_ms" => "领用时时钟偏差（毫秒）",
        "issued_free" => "领用时剩余空间（字节）",
        "model" => "型号",
        "name" => "姓名（名称）",
        "officer" => "执法证号",
        "parent" => "上级单位",
        "purpose" => "用途",
        "quiet" => "免打扰时段",
        "returned_at" => "归还时间",
        "returned_battery" => "归还时电量（%）",
        "returned_clock_ms" => "归还时时钟偏差（毫秒）",
        "returned_free" => "归还时剩余空间（字节）",
        "role" => "角色",
        other => other,
    };
    let value = match name {
        "state" => Cow::Borrowed(state(value)),
        "how" => Cow::Borrowed(how(value)),
        "ground" => Cow::Borrowed(ground(value)),
        "classification" => Cow::Borrowed(class(value)),
        "facts" => Cow::Owned(verdict(value)),
        "severity" => Cow::Borrowed(message::severity(value, true)),
        "event" => Cow::Borrowed(Event::of(value).map_or(value, |e| message::event(e, true))),
        "kind" => Cow::Borrowed(alert::Kind::of(value).map_or(value, |k| k.name().1)),
        "role" => Role::of(value).map_or(Cow::Borrowed(value), |r| Cow::Borrowed(role(r))),
        "issued_at" | "returned_at" | "deadline" | "deadline_earliest" => Cow::Owned(output::time_of(value)),
        _ => match value {
            "true" => Cow::Borrowed("是"),
            "false" => Cow::Borrowed("否"),
            other => say(other),
        },
    };
    format!("{chinese}={value}")
}

/// A list, a change (`{"was": …, "is": …}`) or a time in the log as a person reads it.
fn plain(value: &str) -> String {
    use serde_json::Value;
    let text = |v: &Value| match v {
        Value::Null => "-".to_owned(),
        Value::String(s) if s.is_empty() => "-".to_owned(),
        Value::String(s) => output::time_of(s),
        other => other.to_string(),
    };
    match serde_json::from_str(value) {
        Ok(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().map(text).collect::<Vec<_>>().join(t(", ", "、"))
        }
        Ok(Value::Object(map)) if map.len() == 2 && map.contains_key("was") && map.contains_key("is") => {
            format!("{} → {}", text(&map["was"]), text(&map["is"]))
        }
        Ok(Value::Object(map)) if map.values().all(Value::is_string) => {
            let one = |(key, v): (&String, &Value)| format!("{key}{}{}", t(": ", "："), text(v));
            map.iter().map(one).collect::<Vec<_>>().join(t("; ", "；"))
        }
        _ => output::time_of(value),
    }
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
