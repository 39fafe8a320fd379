//! The columns of the registers' files, in both languages.

use super::table::Column;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// Units.
    Units,
    /// Officers.
    Officers,
    /// Recorders.
    Recorders,
    /// The ledger.
    Ledger,
}

const fn column(key: &'static str, chinese: &'static [&'static str], needed: bool) -> Column {
    Column { key, chinese, needed }
}

const UNITS: [Column; 6] = [
    column("code", &["单位编码", "编码"], true),
    column("name", &["单位名称", "名称"], true),
    column("parent", &["上级单位编码", "上级单位"], false),
    column("archive_hours", &["归档时限（小时）"], false),
    column("case_days", &["立卷归档时限（天）", "案卷时限"], false),
    column("closed", &["已撤销"], false),
];
const OFFICERS: [Column; 8] = [
    column("badge", &["执法证号", "执法证件编号", "证号"], true),
    column("name", &["姓名"], true),
    column("unit", &["单位编码", "单位", "所属单位"], true),
    column("role", &["角色"], false),
    column("email", &["邮箱", "电子邮箱"], false),
    column("quiet", &["免打扰时段"], false),
    column("digest", &["每日汇总时间"], false),
    column("left", &["已离岗"], false),
];
const RECORDERS: [Column; 7] = [
    column("id", &["记录仪编号", "编号", "记录仪"], true),
    column("model", &["型号", "品牌型号"], false),
    column("profile", &["机型"], false),
    column("unit", &["单位编码", "单位", "所属单位"], false),
    column("officer", &["配发人执法证号", "执法证号", "配发人"], false),
    column("state", &["状态"], false),
    column("note", &["备注"], false),
];
const LEDGER: [Column; 13] = [
    column("recorder", &["记录仪编号", "记录仪"], true),
    column("officer", &["领用人执法证号", "执法证号"], true),
    column("name", &["领用人", "姓名"], false),
    column("purpose", &["用途", "领用事由"], true),
    column("issued_at", &["领用时间"], true),
    column("issued_battery", &["领用时电量（%）"], false),
    column("issued_free", &["领用时剩余空间"], false),
    column("issued_clock", &["领用时时钟偏差（秒）"], false),
    column("returned_at", &["归还时间"], false),
    column("returned_battery", &["归还时电量（%）"], false),
    column("returned_free", &["归还时剩余空间"], false),
    column("returned_clock", &["归还时时钟偏差（秒）"], false),
    column("note", &["备注"], false),
];

impl Register {
    /// The columns of its files.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Register::Units => &UNITS,
            Register::Officers => &OFFICERS,
            Register::Recorders => &RECORDERS,
            Register::Ledger => &LEDGER,
        }
    }
}
