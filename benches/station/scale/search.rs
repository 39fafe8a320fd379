//! Searches and suggestions, as a supervisor (who may see everything), a head of a unit and an officer ask.

use chrono::DateTime;
use docket::access::{Person, Role};
use docket::cases::search::{Found, Query, search};
use docket::cases::suggest::suggest;
use docket::catalog::Connection;

use super::Table;
use super::make::{DAY, DAYS, Made, SHIFT, TODAY, badge, row};
use super::names::Dice;

/// Rows of a screen, as `docket search` shows them.
const SCREEN: usize = 50;

struct Asker<'a> {
    db: &'a Connection,
    made: &'a Made,
    dice: Dice,
}

impl Asker<'_> {
    fn find(&self, who: &Person, query: Query) -> Found {
        search(self.db, who, &Query { limit: SCREEN, ..query }).expect("a search")
    }

    /// Number, title, parties and address of a case.
    fn case(&mut self) -> [String; 4] {
        let cases = self.made.size.shifts_a_day * DAYS;
        let sql = "SELECT number, title, parties, address FROM case_file WHERE id = ?1";
        let mut query = self.db.prepare_cached(sql).expect("a query");
        let id = row(self.dice.below(cases) + 1);
        query.query_row([id], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?])).expect("a case")
    }

    /// So many neighbouring characters of something that stands in a case.
    fn part(&mut self, length: usize) -> String {
        loop {
            let which = usize::try_from(self.dice.below(3) + 1).expect("an index");
            let text: Vec<char> = self.case()[which].chars().collect();
            if text.len() >= length {
                let from = self.dice.below((text.len() - length + 1) as u64);
                let from = usize::try_from(from).expect("an index");
                return text[from..from + length].iter().collect();
            }
        }
    }

    fn officer(&mut self) -> i64 {
        row(self.dice.below(self.made.size.officers) + 1)
    }

    fn person(&self, officer: i64, role: Role) -> Person {
        let units = row(self.made.size.units);
        let unit = Some((officer - 1) % units + 1);
        Person { actor: format!("officer:{}", badge(officer)), officer: Some(officer), unit, role }
    }
}

fn day(ms: i64) -> String {
    docket::catalog::recordings::day_of(ms)
}

pub fn ask(table: &mut Table, db: &Connection, made: &Made) {
    let mut a = Asker { db, made, dice: Dice::new(11) };
    let all = a.person(1, Role::Supervisor);
    let aim = "50 ms";
    let officers: Vec<String> = (0..=super::TIMES).map(|_| badge(a.officer())).collect();
    table.ask("search: an officer's badge", aim, |i| {
        let query = Query { officer: Some(officers[i as usize].clone()), ..Query::default() };
        assert!(!a.find(&all, query).recordings.is_empty());
    });
    let days: Vec<String> =
        (0..=super::TIMES).map(|_| day(TODAY - row(a.dice.below(DAYS - 10) + 5) * DAY)).collect();
    table.ask("search: a day", aim, |i| {
        let query = Query { day: Some(days[i as usize].clone()), ..Query::default() };
        assert!(!a.find(&all, query).recordings.is_empty());
    });
    table.ask("search: an officer on a day", aim, |i| {
        let (day, officer) = (days[i as usize].clone(), officers[i as usize].clone());
        a.find(&all, Query { day: Some(day), officer: Some(officer), ..Query::default() });
    });
    let numbers: Vec<String> = (0..=super::TIMES).map(|_| a.case()[0].clone()).collect();
    table.ask("search: a case number", aim, |i| {
        let query = Query { words: numbers[i as usize].clone(), ..Query::default() };
        assert_eq!(a.find(&all, query).cases[0].number, numbers[i as usize]);
    });
    table.ask("search: year and end of a case number", aim, |i| {
        let part = numbers[i as usize].trim_start_matches(|c| c != '〔');
        assert!(!a.find(&all, Query { words: part.into(), ..Query::default() }).cases.is_empty());
    });
    table.ask("search: recordings of a case number", aim, |i| {
        a.find(&all, Query { case: Some(numbers[i as usize].clone()), ..Query::default() });
    });
    let rows = [
        ("search: 1 Chinese character", 1),
        ("search: 2 Chinese characters", 2),
        ("search: 3 Chinese characters", 3),
        ("search: 4 Chinese characters", 4),
    ];
    for (what, length) in rows {
        let words: Vec<String> = (0..=super::TIMES).map(|_| a.part(length)).collect();
        table.ask(what, aim, |i| {
            let query = Query { words: words[i as usize].clone(), ..Query::default() };
            assert!(!a.find(&all, query).cases.is_empty(), "{}", words[i as usize]);
        });
    }
    let pairs: Vec<String> = (0..=super::TIMES).map(|_| format!("{} {}", a.part(1), a.part(2))).collect();
    table.ask("search: two words that need not stand together", aim, |i| {
        a.find(&all, Query { words: pairs[i as usize].clone(), ..Query::default() });
    });
    let words: Vec<String> = (0..=super::TIMES).map(|_| a.part(2)).collect();
    for (what, role) in [
        ("search: 2 characters, by a head of a unit", Role::Head),
        ("search: 2 characters, by an officer", Role::Officer),
    ] {
        table.ask(what, aim, |i| {
            let officer = a.officer();
            let who = a.person(officer, role);
            a.find(&who, Query { words: words[i as usize].clone(), ..Query::default() });
        });
    }
    let now = DateTime::from_timestamp_millis(TODAY).expect("a time");
    table.ask("suggestions for a case", aim, |_| {
        // By its own officer, of the last year: the footage of older cases may be gone.
        let shifts = made.size.shifts_a_day * DAYS;
        let shift = super::make::Shift::of(
            &made.size,
            shifts - 1 - a.dice.below(shifts * 7 / 10) - made.size.shifts_a_day,
        );
        let number: String = db
            .query_row("SELECT number FROM case_file WHERE id = ?1", [row(shift.number + 1)], |r| r.get(0))
            .expect("a case");
        let who = a.person(shift.officer, Role::Officer);
        let found = suggest(db, &who, now, &number, 20).expect("suggestions");
        assert!(found.len() >= usize::try_from(SHIFT / 2).expect("a number"), "{number}: {}", found.len());
    });
}
