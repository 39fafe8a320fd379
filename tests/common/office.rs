//! An office with cases: a unit, its people, and the recordings of one recorder.

use std::process::Output;

use rusqlite::{Connection, params};
use serde_json::Value;

use super::tools::expect_exit;
use super::{Station, content, put};

/// The case that most tests open.
pub const NUMBER: &str = "岳屈自然资罚〔2026〕12号";
/// 2026-11-20 00:00 in the station's zone.
const DAY: i64 = 1_795_104_000_000;

/// A station with a unit, its people, and recordings of one recorder that 张三 has taken out.
pub struct Office {
    pub station: Station,
}

impl Office {
    /// With 张三 (HN001) on patrol with the recorder.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same, with more settings.
    pub fn with(more: &str) -> Self {
        let station = Station::with(more);
        let card = station.card("card");
        for (i, time) in ["090500", "101500", "150000"].iter().enumerate() {
            let name = format!("DCIM/DCAM_A1B2C3_HN001_20261120_{time}.mp4");
            put(card.join(name), &content(i as u64 + 1, 5000));
        }
        station.ok(&["ingest", card.to_str().unwrap()]);
        let office = Self { station };
        let db = office.write();
        db.execute("INSERT INTO unit (id, code, name) VALUES (1, 'QY', '执法大队'), (2, 'BY', '外单位')", [])
            .unwrap();
        for (badge, name, unit, role) in [
            ("HN001", "张三", 1, "officer"),
            ("HN002", "李四", 1, "reviewer"),
            ("HN003", "王五", 1, "head"),
            ("HN004", "欧阳小明", 1, "officer"),
            ("HN005", "孙七", 2, "officer"),
            ("HN006", "周八", 1, "supervisor"),
        ] {
            let sql = "INSERT INTO officer (badge, name, unit, role) VALUES (?1, ?2, ?3, ?4)";
            db.execute(sql, params![badge, name, unit, role]).unwrap();
        }
        let sql =
            "INSERT INTO issue (recorder, officer, purpose, issued_at) VALUES ('A1B2C3', 1, '巡查', ?1)";
        db.execute(sql, [DAY]).unwrap();
        let facts = r#"{"facts":{"duration_ms":600000},"verdict":"playable"}"#;
        db.execute("UPDATE recording SET probed = ?1", [facts]).unwrap();
        office
    }

    /// The catalogue, for what no command writes yet.
    pub fn write(&self) -> Connection {
        Connection::open(self.station.data().join("catalog.sqlite")).unwrap()
    }

    /// A recording by its place in time.
    pub fn recording(&self, n: i64) -> String {
        let sql = "SELECT id FROM recording ORDER BY taken_at LIMIT 1 OFFSET ?1";
        self.station.db().query_row(sql, [n], |r| r.get(0)).unwrap()
    }

    /// A command in somebody's name.
    pub fn run(&self, badge: &str, args: &[&str]) -> Output {
        self.station.run(&[&["--as", badge], args].concat())
    }

    /// The same; the test fails unless it ends well.
    pub fn ok(&self, badge: &str, args: &[&str]) -> String {
        self.station.ok(&[&["--as", badge], args].concat())
    }

    /// The same, as JSON.
    pub fn json(&self, badge: &str, args: &[&str]) -> Value {
        self.station.json(&[&["--as", badge], args, &["--json"]].concat())
    }

    /// The same; it must fail, and say this.
    pub fn refuses(&self, badge: &str, args: &[&str], parts: &[&str]) {
        expect_exit(&self.run(badge, args), 1, parts);
    }

    /// Opens a penalty case of 张三.
    pub fn open(&self, number: &str, title: &str) {
        let args =
            ["cases", "open", number, "--kind", "行政处罚", "--title", title, "--opened", "2026-11-18 09:00"];
        self.ok("HN001", &args);
    }

    /// What custody tells of an object.
    pub fn actions(&self, object: &str) -> Vec<String> {
        let db = self.station.db();
        let mut query = db.prepare("SELECT entry FROM custody WHERE object = ?1 ORDER BY seq").unwrap();
        let rows = query.query_map([object], |r| r.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(|e| {
            serde_json::from_slice::<Value>(&e.unwrap()).unwrap()["action"].as_str().unwrap().to_owned()
        })
        .collect()
    }

    /// Rows of a table.
    pub fn count(&self, table: &str) -> i64 {
        self.station.db().query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
    }
}
