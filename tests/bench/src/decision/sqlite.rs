//! SQLite on the same full question, with the best schema that we know for it.
//!
//! ```text
//!   text(text -> id)                                  names and patterns, once each
//!   lead(sub, pattern)                                memberships, joined beforehand with the patterns over the role
//!   role_denial(sub, obj)                             where the closures end
//!   allow(sub, obj, act), deny(sub, obj, act)         each a clustered B-tree: WITHOUT ROWID
//!   cover(role, pattern)                              which patterns cover a role, worked out beforehand
//! ```
//!
//! What is done for it: the database lies in memory; rows are inserted in the order of their keys, so pages
//! are full; only what still holds at the end of the log is there at all, since the questions are about now
//! (Writ's index keeps the rest too); its statements are prepared once and compare numbers only; it takes no mutex; it answers only
//! *why*, while Writ also names the entries that decided and until when the answer stands.

use std::collections::HashMap;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags, Statement, params};
use writ_proto::decision::{Moment, Question, Why};
use writ_proto::name::{Name, candidates};
use writ_proto::record::Effect;

use super::measure::Evaluator;
use crate::dataset::{Change, Dataset};

const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA temp_store = MEMORY;
    CREATE TABLE text (text TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE lead (sub INTEGER, pattern INTEGER, role INTEGER, entry INTEGER, start INTEGER, end INTEGER,
        PRIMARY KEY (sub, pattern, entry)) WITHOUT ROWID;
    CREATE TABLE role_denial (sub INTEGER, obj INTEGER, entry INTEGER, start INTEGER, end INTEGER,
        PRIMARY KEY (sub, obj, entry)) WITHOUT ROWID;
    CREATE TABLE allow (sub INTEGER, obj INTEGER, act INTEGER, entry INTEGER, start INTEGER, end INTEGER,
        PRIMARY KEY (sub, obj, act, entry)) WITHOUT ROWID;
    CREATE TABLE deny (sub INTEGER, obj INTEGER, act INTEGER, entry INTEGER, start INTEGER, end INTEGER,
        PRIMARY KEY (sub, obj, act, entry)) WITHOUT ROWID;
    CREATE TABLE cover (role INTEGER, pattern INTEGER, PRIMARY KEY (role, pattern)) WITHOUT ROWID;
";

/// The id of a text.
const TEXT: &str = "SELECT id FROM text WHERE text = ?1";

/// Steps 5 to 8 of decision 0004: the patterns over all names in the wide closure; whether a denial applies
/// to any; whether one bars a role. `CROSS JOIN` fixes the order, which the planner would have to guess.
/// Parameters of all three statements: lo, hi, action, four patterns over the subject, six over the object.
const WIDE: &str = "
    WITH RECURSIVE
    bearer (sub) AS (
        VALUES (?4), (?5), (?6), (?7)
        UNION
        SELECT l.pattern FROM bearer CROSS JOIN lead l
            WHERE l.sub = bearer.sub AND l.start <= ?2 AND l.end > ?1)
    SELECT
        EXISTS (SELECT 1 FROM bearer
            CROSS JOIN (VALUES (?8), (?9), (?10), (?11), (?12), (?13)) object
            CROSS JOIN deny d
            WHERE d.sub = bearer.sub AND d.obj = object.column1 AND (d.act = ?3 OR d.act = 0)
                AND d.start <= ?2 AND d.end > ?1),
        EXISTS (SELECT 1 FROM bearer CROSS JOIN role_denial d
            WHERE d.sub = bearer.sub AND d.start <= ?2 AND d.end > ?1)
";

/// Step 9 where no denial of membership holds for any name in the wide closure: the narrow closure bars no role.
const NARROW: &str = "
    WITH RECURSIVE
    bearer (sub) AS (
        VALUES (?4), (?5), (?6), (?7)
        UNION
        SELECT l.pattern FROM bearer CROSS JOIN lead l
            WHERE l.sub = bearer.sub AND l.start <= ?1 AND l.end > ?2)
    SELECT EXISTS (SELECT 1 FROM bearer
        CROSS JOIN (VALUES (?8), (?9), (?10), (?11), (?12), (?13)) object
        CROSS JOIN allow a
        WHERE a.sub = bearer.sub AND a.obj = object.column1 AND (a.act = ?3 OR a.act = 0)
            AND a.start <= ?1 AND a.end > ?2)
";

/// Steps 7 and 9 where some role may be barred.
const NARROW_BARRED: &str = "
    WITH RECURSIVE
    wide (sub) AS (
        VALUES (?4), (?5), (?6), (?7)
        UNION
        SELECT l.pattern FROM wide CROSS JOIN lead l
            WHERE l.sub = wide.sub AND l.start <= ?2 AND l.end > ?1),
    barred (obj) AS MATERIALIZED (
        SELECT d.obj FROM wide CROSS JOIN role_denial d
            WHERE d.sub = wide.sub AND d.start <= ?2 AND d.end > ?1),
    bearer (sub) AS (
        VALUES (?4), (?5), (?6), (?7)
        UNION
        SELECT l.pattern FROM bearer CROSS JOIN lead l
            WHERE l.sub = bearer.sub AND l.start <= ?1 AND l.end > ?2
                AND NOT EXISTS (SELECT 1 FROM barred CROSS JOIN cover c
                    WHERE c.role = l.role AND c.pattern = barred.obj))
    SELECT EXISTS (SELECT 1 FROM bearer
        CROSS JOIN (VALUES (?8), (?9), (?10), (?11), (?12), (?13)) object
        CROSS JOIN allow a
        WHERE a.sub = bearer.sub AND a.obj = object.column1 AND (a.act = ?3 OR a.act = 0)
            AND a.start <= ?1 AND a.end > ?2)
";

/// The actions of the dataset as numbers; `*` is 0.
const ACTIONS: [&str; 5] = ["*", "read", "write", "share", "member"];
const SUBJECT_CANDIDATES: usize = 4;
const OBJECT_CANDIDATES: usize = 6;

/// The dataset's live entries in a database in memory.
pub(super) struct Database {
    connection: Connection,
}

/// The database with its statement and the questions as parameters.
pub(super) struct Sqlite<'a> {
    text: Statement<'a>,
    wide: Statement<'a>,
    narrow: Statement<'a>,
    narrow_barred: Statement<'a>,
    questions: &'a [Question],
    moment: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    table: usize,
    sub: u32,
    obj: u32,
    act: u8,
    entry: u32,
    start: i64,
    end: i64,
}

impl Database {
    /// Loads the dataset.
    ///
    /// # Errors
    /// What SQLite reports.
    pub(super) fn new(dataset: &Dataset) -> anyhow::Result<Self> {
        let (texts, rows) = read(dataset)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_in_memory_with_flags(flags)?;
        connection.execute_batch(SCHEMA)?;
        let transaction = connection.transaction()?;
        let mut sorted: Vec<(&str, u32)> = texts.iter().map(|(text, id)| (&**text, *id)).collect();
        sorted.sort_unstable();
        {
            let mut insert = transaction.prepare("INSERT INTO text VALUES (?1, ?2)")?;
            for (text, id) in sorted {
                insert.execute(params![text, id])?;
            }
            let mut pairs = transaction.prepare("INSERT INTO cover VALUES (?1, ?2)")?;
            let mut covers = covers(&texts)?;
            covers.sort_unstable();
            for (role, pattern) in covers {
                pairs.execute(params![role, pattern])?;
            }
            let mut rights = [
                transaction.prepare("INSERT INTO allow VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
                transaction.prepare("INSERT INTO deny VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            ];
            let mut lead = transaction
                .prepare("INSERT INTO lead SELECT ?1, pattern, ?2, ?3, ?4, ?5 FROM cover WHERE role = ?2")?;
            let mut role_denial = transaction.prepare("INSERT INTO role_denial VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for Row { table, sub, obj, act, entry, start, end } in rows {
                rights[table].execute(params![sub, obj, act, entry, start, end])?;
                // The dataset denies membership by `member` alone, on roles.
                if ACTIONS[usize::from(act)] == "member" {
                    let list = if table == 0 { &mut lead } else { &mut role_denial };
                    list.execute(params![sub, obj, entry, start, end])?;
                }
            }
        }
        transaction.commit()?;
        connection.execute_batch("ANALYZE")?;
        Ok(Self { connection })
    }

    /// Ready to answer.
    pub(super) fn ready<'a>(&'a self, questions: &'a [Question], moment: Moment) -> anyhow::Result<Sqlite<'a>> {
        let prepare = |sql| self.connection.prepare(sql);
        let (text, wide) = (prepare(TEXT)?, prepare(WIDE)?);
        let (narrow, narrow_barred) = (prepare(NARROW)?, prepare(NARROW_BARRED)?);
        Ok(Sqlite { text, wide, narrow, narrow_barred, questions, moment })
    }

    /// How many bytes the database has.
    pub(super) fn bytes(&self) -> anyhow::Result<u64> {
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok(u64::try_from(pragma("page_count")? * pragma("page_size")?)?)
    }

    /// The version of SQLite.
    pub(super) fn version() -> &'static str {
        rusqlite::version()
    }
}

impl Evaluator for Sqlite<'_> {
    fn answer(&mut self, at: usize) -> anyhow::Result<Why> {
        let question = &self.questions[at];
        let act = question.act.as_ref().context("the questions of the bench name an action")?;
        let mut parameters = [None; 3 + SUBJECT_CANDIDATES + OBJECT_CANDIDATES];
        parameters[0] = Some(i64::try_from(self.moment.interval.lo().as_millis())?);
        parameters[1] = Some(i64::try_from(self.moment.interval.hi().as_millis())?);
        parameters[2] = Some(number_of(act.as_str())?.into());
        let (subject, object) = parameters[3..].split_at_mut(SUBJECT_CANDIDATES);
        self.ids(&question.sub, subject)?;
        self.ids(&question.obj, object)?;
        let [denied, is_barred] = ask(&mut self.wide, &parameters)?;
        if denied {
            return Ok(Why::Deny);
        }
        let narrow = if is_barred { &mut self.narrow_barred } else { &mut self.narrow };
        let [granted] = ask(narrow, &parameters)?;
        Ok(if granted { Why::Grant } else { Why::NoMatch })
    }
}

impl Sqlite<'_> {
    /// The ids of the patterns that cover `name` and stand on some entry.
    fn ids(&mut self, name: &Name, ids: &mut [Option<i64>]) -> anyhow::Result<()> {
        let mut next = 0;
        for pattern in candidates(name) {
            self.text.raw_bind_parameter(1, &*pattern)?;
            if let Some(row) = self.text.raw_query().next()? {
                *ids.get_mut(next).context("more patterns than there are parameters")? = Some(row.get(0)?);
                next += 1;
            }
        }
        Ok(())
    }
}

/// The columns of a statement's only row.
fn ask<const N: usize>(statement: &mut Statement<'_>, parameters: &[Option<i64>]) -> anyhow::Result<[bool; N]> {
    for (at, value) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    let mut rows = statement.raw_query();
    let row = rows.next()?.context("the statement gives one row")?;
    let mut columns = [false; N];
    for (at, column) in columns.iter_mut().enumerate() {
        *column = row.get(at)?;
    }
    Ok(columns)
}

fn number_of(act: &str) -> anyhow::Result<u8> {
    let at = ACTIONS.iter().position(|known| *known == act).with_context(|| format!("no number for action `{act}`"))?;
    Ok(u8::try_from(at)?)
}

type Texts = HashMap<Box<str>, u32>;

/// The texts of the dataset, and its live entries in the order of their keys.
fn read(dataset: &Dataset) -> anyhow::Result<(Texts, Vec<Row>)> {
    let mut texts = Texts::new();
    let mut rows = Vec::new();
    let mut intern = |text: &str| {
        let next = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        match texts.get(text) {
            Some(id) => *id,
            None => *texts.entry(text.into()).or_insert(next),
        }
    };
    for block in dataset.blocks() {
        for change in block.changes {
            let Change::Entry(position, fact, exp) = change else { continue };
            if !fact.fate.is_live() {
                continue;
            }
            rows.push(Row {
                table: usize::from(fact.effect == Effect::Deny),
                sub: intern(&fact.sub),
                obj: intern(&fact.obj),
                act: number_of(fact.act)?,
                entry: u32::try_from(position)?,
                start: i64::try_from(block.time.as_millis())?,
                end: exp.map_or(Ok(i64::MAX), |exp| i64::try_from(exp.as_millis()))?,
            });
        }
    }
    rows.sort_unstable();
    Ok((texts, rows))
}

/// For every role, the patterns over it that stand on some entry.
fn covers(texts: &Texts) -> anyhow::Result<Vec<(u32, u32)>> {
    let mut covers = Vec::new();
    for (text, id) in texts.iter().filter(|(text, _)| text.starts_with("role:") && !text.ends_with('*')) {
        let role = Name::parse_full(text)?;
        covers.extend(candidates(&role).filter_map(|pattern| Some((*id, *texts.get(&*pattern)?))));
    }
    Ok(covers)
}
