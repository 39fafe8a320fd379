//! Tables as files: CSV as spreadsheets write it, in UTF-8 or GBK, read with every problem named by its line.

use encoding_rs::GB18030;

use crate::base::text::show;
use crate::base::{Error, Kind, Result};

/// Largest file, in bytes.
pub const MOST_BYTES: usize = 50 << 20;
/// Most lines of a file: they are made in one transaction, and the daemon has to wait that long.
pub const MOST_ROWS: usize = 100_000;
/// UTF-8 with this in front is what spreadsheets open as UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How a file's text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 where it is that, else GBK.
    Auto,
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// GBK, read and written as its superset GB 18030.
    Gbk,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in English files and in JSON.
    pub key: &'static str,
    /// Its names in Chinese files; the first is written.
    pub chinese: &'static [&'static str],
    /// Whether a file must have it.
    pub needed: bool,
}

/// What is wrong with one line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line; the first one is 1.
    pub line: u64,
    /// The column as the file names it, where it is about one.
    pub column: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    /// The problem as one message.
    pub fn message(&self) -> String {
        match &self.column {
            Some(column) => format!("line {}, column `{column}`: {}", self.line, self.what),
            None => format!("line {}: {}", self.line, self.what),
        }
    }
}

/// One line of a file below its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line that it begins on.
    pub line: u64,
    cells: Vec<Option<String>>,
}

impl Row {
    /// The cell of a column, without blanks around it; `None` where the file has no such column.
    pub fn cell(&self, column: usize) -> Option<&str> {
        self.cells.get(column).and_then(Option::as_deref)
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct Table {
    /// Its lines, but for those that are no rows.
    pub rows: Vec<Row>,
    /// What is wrong with its head and the form of its lines.
    pub problems: Vec<Problem>,
    /// How its text was encoded: `utf-8` or `gb18030`.
    pub encoding: &'static str,
    names: Vec<Option<String>>,
}

impl Table {
    /// A column's name as the file has it.
    pub fn name(&self, column: usize) -> Option<String> {
        self.names.get(column).cloned().flatten()
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

/// The text of a file.
///
/// # Errors
/// Where it is neither UTF-8 nor GBK, or not what it is said to be.
pub fn decode(bytes: &[u8], encoding: Encoding) -> Result<(String, &'static str)> {
    if bytes.len() > MOST_BYTES {
        return Err(wrong(format!("the file is larger than {} MiB", MOST_BYTES >> 20))
            .next("cut it into several files, each with the line of column names"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(wrong("the file is UTF-16").next("save it as `CSV UTF-8` in the spreadsheet"));
    }
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let line_of = |at: usize| bytes[..at.min(bytes.len())].iter().filter(|b| **b == b'\n').count() + 1;
    match std::str::from_utf8(body) {
        Ok(text) if encoding != Encoding::Gbk => return Ok((text.to_owned(), "utf-8")),
        Err(e) if encoding == Encoding::Utf8 || bytes.starts_with(BOM) => {
            let line = line_of(e.valid_up_to() + bytes.len() - body.len());
            return Err(wrong(format!("the file is not UTF-8: see line {line}"))
                .next("leave --encoding out, or name the right one"));
        }
        _ => {}
    }
    match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok((text.into_owned(), "gb18030")),
        None => Err(wrong("the file is neither UTF-8 nor GBK")
            .next("save it as `CSV UTF-8` in the spreadsheet; a workbook (.xlsx) is no CSV")),
    }
}

/// A column name without what people vary: blanks, letter case, a unit in brackets.
fn plain(name: &str) -> String {
    let cut = name.find(['(', '（']).unwrap_or(name.len());
    name[..cut].chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Reads a file with these columns.
///
/// # Errors
/// Where nothing can be made of it, for its encoding or its size. What is wrong with its head or with a line
/// is a problem of the table instead.
pub fn read(bytes: &[u8], encoding: Encoding, columns: &[Column]) -> Result<Table> {
    let (text, encoding) = decode(bytes, encoding)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut table =
        Table { rows: Vec::new(), problems: Vec::new(), encoding, names: vec![None; columns.len()] };
    let mut record = csv::StringRecord::new();
    let broken = |e: csv::Error| wrong(format!("the file is no CSV: {e}"));
    if !reader.read_record(&mut record).map_err(broken)? {
        return Err(wrong("the file is empty").next("its first line names the columns; an export shows them"));
    }
    let places = head(&record, columns, &mut table);
    let width = record.len();
    if table.problems.iter().any(|p| p.column.is_none()) {
        return Ok(table);
    }
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, |at| line_of(&text, at));
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if table.rows.len() >= MOST_ROWS {
            return Err(wrong(format!("the file has more than {MOST_ROWS} lines"))
                .next("cut it into several files, each with the line of column names"));
        }
        if record.len() != width {
            let what = format!("{} fields, where the first line names {width}", record.len());
            table.problems.push(Problem { line, column: None, what });
            continue;
        }
        let mut cells = vec![None; columns.len()];
        for (cell, place) in record.iter().zip(&places) {
            if let Some(place) = place {
                cells[*place] = Some(unguarded(cell.trim()).to_owned());
            }
        }
        table.rows.push(Row { line, cells });
    }
    Ok(table)
}

/// The line that a record begins on: blank lines before it are counted as its own by the reader.
fn line_of(text: &str, at: &csv::Position) -> u64 {
    let rest =
        usize::try_from(at.byte()).ok().and_then(|byte| text.as_bytes().get(byte..)).unwrap_or_default();
    let blank = rest.iter().take_while(|b| matches!(b, b'\n' | b'\r')).filter(|b| **b == b'\n').count();
    at.line() + blank as u64
}

/// Which column each field is; what is wrong with the head becomes a problem of line 1.
fn head(record: &csv::StringRecord, columns: &[Column], table: &mut Table) -> Vec<Option<usize>> {
    let mut places = Vec::new();
    for name in record {
        let name = show(name.trim().as_ref());
        let fits =
            |c: &Column| plain(c.key) == plain(&name) || c.chinese.iter().any(|z| plain(z) == plain(&name));
        let place = columns.iter().position(fits);
        let mut problem = |what: &str| {
            let column = Some(name.clone());
            table.problems.push(Problem { line: 1, column, what: what.to_owned() });
        };
        match place {
            None => problem("no such column"),
            Some(place) if table.names[place].is_some() => problem("the column stands twice"),
            Some(place) => table.names[place] = Some(name.clone()),
        }
        places.push(place);
    }
    for (column, _) in columns.iter().zip(&table.names).filter(|(c, name)| c.needed && name.is_none()) {
        let chinese = column.chinese.first().copied().unwrap_or_default();
        let what = format!("there is no column `{}` ({chinese})", column.key);
        table.problems.push(Problem { line: 1, column: None, what });
    }
    if record.len() == 1 && record.iter().any(|cell| cell.contains([';', '\t'])) {
        let what = "the columns must be separated by commas".to_owned();
        table.problems.push(Problem { line: 1, column: None, what });
    }
    places
}

/// A cell that a spreadsheet would run as a formula.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r'])
        && cell.parse::<i64>().map(|n| n.to_string()).as_deref() != Ok(cell)
}

/// The cell with an apostrophe in front where a spreadsheet would run it; [`unguarded`] takes it off again.
fn guarded(cell: &str) -> String {
    if is_formula(cell.trim_start_matches('\'')) { format!("'{cell}") } else { cell.to_owned() }
}

fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(cell.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

/// Writes a file with these columns, names in Chinese or English. UTF-8 begins with a byte order mark.
///
/// # Errors
/// Where a row cannot be written.
pub fn write(columns: &[Column], rows: &[Vec<String>], chinese: bool, encoding: Encoding) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| wrong(format!("cannot write CSV: {e}"));
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let name = |c: &Column| if chinese { c.chinese.first().copied().unwrap_or(c.key) } else { c.key };
    writer.write_record(columns.iter().map(name)).map_err(failed)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| guarded(cell))).map_err(failed)?;
    }
    let text = writer.into_inner().map_err(|e| wrong(format!("cannot write CSV: {e}")))?;
    if encoding != Encoding::Gbk {
        return Ok([BOM, &text].concat());
    }
    let text = String::from_utf8_lossy(&text);
    Ok(GB18030.encode(&text).0.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: [Column; 3] = [
        Column { key: "badge", chinese: &["执法证号", "证号"], needed: true },
        Column { key: "name", chinese: &["姓名"], needed: true },
        Column { key: "hours", chinese: &["时限（小时）"], needed: false },
    ];

    fn cells(table: &Table) -> Vec<Vec<Option<&str>>> {
        table.rows.iter().map(|r| (0..3).map(|c| r.cell(c)).collect()).collect()
    }

    #[test]
    fn every_way_a_spreadsheet_saves_is_read() {
        let text = "姓名,证号\r\n\"张 三\",017\r\n\r\n 李四 , 018 \r\n";
        let bytes = [
            text.as_bytes().to_vec(),
            [BOM, text.as_bytes()].concat(),
            GB18030.encode(text).0.into_owned(),
            b"Name,BADGE\n\xd5\xc5 \xc8\xfd,017\n\xc0\xee\xcb\xc4,018".to_vec(),
        ];
        for bytes in bytes {
            let table = read(&bytes, Encoding::Auto, &COLUMNS).unwrap();
            assert_eq!(table.problems, []);
            assert_eq!(
                cells(&table),
                [[Some("017"), Some("张 三"), None], [Some("018"), Some("李四"), None]]
            );
        }
        let table = read("证号,姓名,时限(小时)\n1,a,\n".as_bytes(), Encoding::Utf8, &COLUMNS).unwrap();
        assert_eq!(cells(&table), [[Some("1"), Some("a"), Some("")]]);
    }

    #[test]
    fn problems_are_named_by_line() {
        let said = |text: &str| -> Vec<String> {
            let table = read(text.as_bytes(), Encoding::Auto, &COLUMNS).unwrap();
            table.problems.iter().map(Problem::message).collect()
        };
        assert_eq!(
            said("badge,name\n1,\"a\nb\"\n2\n\n3,c,d\n"),
            [
                "line 4: 1 fields, where the first line names 2",
                "line 6: 3 fields, where the first line names 2"
            ]
        );
        assert_eq!(
            said("badge,colour,badge\n"),
            [
                "line 1, column `colour`: no such column",
                "line 1, column `badge`: the column stands twice",
                "line 1: there is no column `name` (姓名)"
            ]
        );
        assert!(
            said("badge;name\n1;2\n").contains(&"line 1: the columns must be separated by commas".into())
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let large = vec![b'a'; MOST_BYTES + 1];
        let lines = format!("badge,name\n{}", "1,2\n".repeat(MOST_ROWS + 1));
        for (bytes, part) in [
            (&b""[..], "empty"),
            (b"\xff\xfeb\0a\0", "UTF-16"),
            (b"\x80\xff\xff", "neither"),
            (b"\xef\xbb\xbfa\xff", "not UTF-8"),
            (&large, "larger"),
            (lines.as_bytes(), "more than 100000 lines"),
        ] {
            let e = read(bytes, Encoding::Auto, &COLUMNS).unwrap_err();
            assert!(e.what().contains(part) && e.what().len() < 200, "{e}");
        }
        let gbk = GB18030.encode("badge,name\n1,张三\n").0.into_owned();
        assert!(read(&gbk, Encoding::Utf8, &COLUMNS).unwrap_err().what().contains("line 2"));
    }

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+2", "+86 1", "-1+2", "@SUM(A1)", "'=1", "''@x"] {
            assert!(guarded(cell).starts_with('\''), "{cell}");
            assert_eq!(unguarded(&guarded(cell)), cell);
        }
        for cell in ["-5", "12", "'quoted'", "a=b", ""] {
            assert_eq!(guarded(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, text in "[badge,名\"\n\r'=;\\t0-9]{0,80}") {
            for encoding in [Encoding::Auto, Encoding::Utf8, Encoding::Gbk] {
                let _ = read(&bytes, encoding, &COLUMNS);
                let _ = read(format!("badge,name\n{text}").as_bytes(), encoding, &COLUMNS);
            }
        }

        #[test]
        fn what_is_written_is_read(
            rows in prop::collection::vec(prop::collection::vec("[=+@'\"a-c,张龥\u{20000}-]{1,6}", 3), 1..8),
            chinese: bool,
        ) {
            for encoding in [Encoding::Utf8, Encoding::Gbk] {
                let bytes = write(&COLUMNS, &rows, chinese, encoding).unwrap();
                let table = read(&bytes, encoding, &COLUMNS).unwrap();
                prop_assert_eq!(&table.problems, &[]);
                let got: Vec<Vec<String>> = table
                    .rows
                    .iter()
                    .map(|r| (0..3).map(|c| r.cell(c).unwrap().to_owned()).collect())
                    .collect();
                prop_assert_eq!(&got, &rows);
            }
        }
    }
}
