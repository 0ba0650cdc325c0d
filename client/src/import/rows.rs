//! From CSV or JSON lines to rows.
//!
//! Known columns and members: `sub obj act access iss exp ref cond`, of which `sub` and `obj` are required;
//! `issuingAuth`, which must be the importing authority; and `added`, which is ignored, because the ledger
//! assigns it. An empty cell and a JSON `null` say nothing. A row with another member is refused, and so is
//! one whose members make no sense; the others are imported all the same.
//!
//! A row's *text*, from which its nonce derives, is: of JSON lines the line without white space around it;
//! of CSV the record as it stands in the file, quotes and all, without its line end. Lines without
//! anything are no rows.

use std::collections::HashMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use writ_proto::api::Tuple;
use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{Access, AuthorityName};
use writ_proto::refusal::{Code, Refusal};
use writ_proto::time::Excerpt;

use crate::when::When;

/// The columns that the first line of a CSV file may name, and the members of a JSON line.
pub const COLUMNS: [&str; 10] = ["sub", "obj", "act", "access", "iss", "exp", "ref", "cond", "issuingAuth", "added"];

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values; the first line names the columns.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line of the file on which it starts, from 1.
    pub line: u64,
    /// Its text.
    pub text: Vec<u8>,
    /// How many rows before it have the same text.
    pub ordinal: u64,
    /// What it says, or why it is refused.
    pub wish: Result<Wish, RowFault>,
}

/// What a row wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// An entry, whose own times are left out.
    State {
        /// The entry.
        access: Access,
        /// From when, as it was written.
        iss: Option<When>,
        /// Until when, as it was written.
        exp: Option<When>,
    },
    /// The end of the importing authority's entries on one key.
    Withdraw {
        /// Which key.
        key: Key,
        /// From when, as it was written: only what is not in the future makes sense.
        iss: Option<When>,
    },
}

/// What an entry is about: exactly this subject, object and action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Who.
    pub sub: Pattern,
    /// What.
    pub obj: Pattern,
    /// Which action.
    pub act: ActionPattern,
}

/// Why a row is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// A stable code.
    pub code: String,
    /// The member at fault.
    pub field: Option<String>,
    /// What was found and what was expected.
    pub detail: String,
}

/// Why a file holds no rows at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// A CSV file without its first line.
    #[error("the file is empty, expected a first line that names the columns, as in `sub,obj,act`")]
    NoHeader,
    /// In another encoding.
    #[error("the file is UTF-16, expected UTF-8")]
    Utf16,
    /// A required column is not there.
    #[error("the first line names no column `{missing}`; it names {}", Excerpt::of(found))]
    NoColumn {
        /// The column.
        missing: &'static str,
        /// The first line.
        found: String,
    },
    /// A column stands twice.
    #[error("the first line names the column `{}` twice", Excerpt::of(column))]
    RepeatedColumn {
        /// The column.
        column: String,
    },
    /// What the CSV reader said.
    #[error("the file is no CSV: {reason}")]
    Csv {
        /// In its words.
        reason: String,
    },
}

impl From<&Access> for Key {
    fn from(access: &Access) -> Self {
        Self { sub: access.sub.clone(), obj: access.obj.clone(), act: access.act.clone() }
    }
}

impl RowFault {
    /// The caller's fault in one member.
    pub fn of(field: &str, detail: impl Into<String>) -> Self {
        Self { code: Code::BadRequest.as_str().into(), field: Some(field.into()), detail: detail.into() }
    }

    /// The caller's fault in the whole row.
    pub fn whole(detail: impl Into<String>) -> Self {
        Self { code: Code::BadRequest.as_str().into(), field: None, detail: detail.into() }
    }
}

impl From<Refusal> for RowFault {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code.as_str().into(), field: refusal.path(), detail: refusal.detail }
    }
}

impl Format {
    /// The format of a file by its name, or else by its first letter.
    pub fn guess(name: &str, bytes: &[u8]) -> Self {
        match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
            Some("csv") => Self::Csv,
            Some("jsonl" | "ndjson" | "json") => Self::JsonLines,
            _ if without_mark(bytes).trim_ascii_start().starts_with(b"{") => Self::JsonLines,
            _ => Self::Csv,
        }
    }
}

/// The rows of a file that `authority` imports.
///
/// # Errors
/// If the file cannot be cut into rows at all.
pub fn read(bytes: &[u8], format: Format, authority: &AuthorityName) -> Result<Vec<Row>, FileFault> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(FileFault::Utf16);
    }
    let cut = match format {
        Format::Csv => cut_csv(bytes)?,
        Format::JsonLines => cut_json_lines(bytes),
    };
    let mut seen: HashMap<&[u8], u64> = HashMap::new();
    let rows = cut.into_iter().map(|Cut { line, text, members }| {
        let count = seen.entry(text).or_default();
        let ordinal = *count;
        *count += 1;
        let wish = members.and_then(|members| wish_of(members, authority));
        Row { line, text: text.to_vec(), ordinal, wish }
    });
    Ok(rows.collect())
}

/// A row whose members are told apart.
struct Cut<'a> {
    line: u64,
    text: &'a [u8],
    members: Result<Vec<(String, String)>, RowFault>,
}

/// The file without a byte order mark, which some programs put before it.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn cut_json_lines(bytes: &[u8]) -> Vec<Cut<'_>> {
    let lines = without_mark(bytes).split(|byte| *byte == b'\n').zip(1..);
    let rows = lines.map(|(line, at)| (line.trim_ascii(), at)).filter(|(text, _)| !text.is_empty());
    rows.map(|(text, line)| Cut { line, text, members: members_of_json(text) }).collect()
}

fn cut_csv(bytes: &[u8]) -> Result<Vec<Cut<'_>>, FileFault> {
    let bytes = without_mark(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let mut columns: Option<Vec<String>> = None;
    let mut cuts = Vec::new();
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = offset(&reader);
        if !reader.read_byte_record(&mut record).map_err(|error| FileFault::Csv { reason: error.to_string() })? {
            break;
        }
        let raw = &bytes[start..offset(&reader)];
        let text = raw.trim_ascii_start();
        let skipped = raw.len() - text.len();
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        // Only line ends are skipped before a record; white space belongs to its first cell.
        let skipped = raw[..skipped].iter().take_while(|byte| is_line_end(byte)).count();
        let begin = start + skipped;
        line += bytes[counted..begin].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = begin;
        let end = raw.iter().rev().take_while(|byte| is_line_end(byte)).count();
        let text = &bytes[begin..start + raw.len() - end];
        match &columns {
            None => columns = Some(header(&record)?),
            // A file that was cut off within quotes would give a shorter name.
            Some(_) if text.iter().filter(|byte| **byte == b'"').count() % 2 == 1 => {
                let members = Err(RowFault::whole("a quote without the one that ends it"));
                cuts.push(Cut { line, text, members });
            }
            Some(columns) => cuts.push(Cut { line, text, members: members_of_csv(columns, &record) }),
        }
    }
    if columns.is_none() {
        return Err(FileFault::NoHeader);
    }
    Ok(cuts)
}

fn offset(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).expect("a file in memory has a length that fits")
}

fn header(record: &csv::ByteRecord) -> Result<Vec<String>, FileFault> {
    let columns: Vec<String> =
        record.iter().map(|cell| String::from_utf8_lossy(cell.trim_ascii()).into_owned()).collect();
    for (at, column) in columns.iter().enumerate() {
        if columns[..at].contains(column) {
            return Err(FileFault::RepeatedColumn { column: column.clone() });
        }
    }
    for missing in ["sub", "obj"] {
        if !columns.iter().any(|column| column == missing) {
            return Err(FileFault::NoColumn { missing, found: columns.join(",") });
        }
    }
    Ok(columns)
}

fn members_of_csv(columns: &[String], record: &csv::ByteRecord) -> Result<Vec<(String, String)>, RowFault> {
    if record.len() != columns.len() {
        return Err(RowFault::whole(format!("{} cells, the first line names {} columns", record.len(), columns.len())));
    }
    let mut members = Vec::new();
    for (column, cell) in columns.iter().zip(record) {
        let cell = std::str::from_utf8(cell).map_err(|_| RowFault::of(column, "the cell is not UTF-8"))?;
        // `alice, file` is a habit, and a name that begins with a space is another name.
        if matches!(column.as_str(), "sub" | "obj") && cell.trim() != cell {
            let detail = "the cell begins or ends with white space; a name that does is written `%type:%20name`";
            return Err(RowFault::of(column, detail));
        }
        // A column that nobody knows refuses the row, even if the cell is empty.
        if !cell.is_empty() || !COLUMNS.contains(&column.as_str()) {
            members.push((column.clone(), cell.to_owned()));
        }
    }
    Ok(members)
}

/// The members of a JSON object, all of them texts.
fn members_of_json(text: &[u8]) -> Result<Vec<(String, String)>, RowFault> {
    let text = std::str::from_utf8(text).map_err(|_| RowFault::whole("the line is not UTF-8"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader
        .deserialize_map(Members)
        .and_then(|members| reader.end().map(|()| members))
        .map_err(|error| RowFault::whole(format!("the line is no JSON object: {}", Excerpt::of(&error.to_string()))))?;
    let mut texts: Vec<(String, String)> = Vec::new();
    for (name, value) in members {
        if texts.iter().any(|(known, _)| *known == name) {
            return Err(RowFault::of(&name, "the member stands twice"));
        }
        match value {
            Value::String(text) => texts.push((name, text)),
            // An unknown member is refused whatever it says.
            Value::Null if COLUMNS.contains(&name.as_str()) => {}
            Value::Null => texts.push((name, String::new())),
            // Ignored, whatever it says.
            _ if name == "added" => {}
            _ => return Err(RowFault::of(&name, "expected a text or `null`")),
        }
    }
    Ok(texts)
}

/// Every member of an object in order, also one that stands twice.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

fn wish_of(members: Vec<(String, String)>, authority: &AuthorityName) -> Result<Wish, RowFault> {
    let mut tuple = Tuple::default();
    let (mut sub, mut obj) = (None, None);
    for (name, text) in members {
        match name.as_str() {
            "sub" => sub = Some(text),
            "obj" => obj = Some(text),
            "act" => tuple.act = Some(text),
            "access" => tuple.access = Some(text),
            "iss" => tuple.iss = Some(text),
            "exp" => tuple.exp = Some(text),
            "ref" => tuple.reference = Some(text),
            "cond" => tuple.cond = Some(text),
            "issuingAuth" => tuple.issuing_auth = Some(text),
            "added" => {}
            unknown => {
                let expected = COLUMNS.map(|column| format!("`{column}`")).join(" ");
                let detail = format!("there is no member `{}`: expected {expected}", Excerpt::of(unknown));
                return Err(RowFault::of(Excerpt::of(unknown).as_str(), detail));
            }
        }
    }
    tuple.sub = sub.ok_or_else(|| RowFault::of("sub", "the row has no `sub`"))?;
    tuple.obj = obj.ok_or_else(|| RowFault::of("obj", "the row has no `obj`"))?;
    if let Some(other) = tuple.issuing_auth.as_deref().filter(|other| *other != authority.as_str()) {
        let detail = format!("the row is of authority `{}`, the import is of `{authority}`", Excerpt::of(other));
        return Err(RowFault::of("issuingAuth", detail));
    }
    let when = |text: Option<String>, field| {
        text.map(|text| text.parse::<When>()).transpose().map_err(|error| RowFault::of(field, error.to_string()))
    };
    let (iss, exp) = (when(tuple.iss.take(), "iss")?, when(tuple.exp.take(), "exp")?);
    if tuple.access.as_deref() == Some("revoked") {
        return withdrawal_of(tuple, iss, exp);
    }
    if let Some(other) = tuple.access.as_deref().filter(|access| !["granted", "denied"].contains(access)) {
        let detail = format!("`{}`, expected `granted`, `denied` or `revoked`", Excerpt::of(other));
        return Err(RowFault::of("access", detail));
    }
    Ok(Wish::State { access: tuple.to_access()?, iss, exp })
}

/// A withdrawal takes effect when the ledger takes it in, on whatever stands on the key. `ref` is accepted,
/// as exports of other systems carry it on every row, though the ledger keeps none for it.
fn withdrawal_of(tuple: Tuple, iss: Option<When>, exp: Option<When>) -> Result<Wish, RowFault> {
    if exp.is_some() {
        return Err(RowFault::of("exp", "a withdrawal has no end; leave it out"));
    }
    if tuple.cond.is_some() {
        return Err(RowFault::of("cond", "a withdrawal has no condition; leave it out"));
    }
    // What cannot be stated, such as `member` on a file, cannot be withdrawn. A denial may say all that a grant may, and
    // more: `member` on a pattern of roles.
    let access = Tuple { access: Some("denied".into()), reference: None, ..tuple }.to_access()?;
    Ok(Wish::Withdraw { key: Key::from(&access), iss })
}

#[cfg(test)]
mod tests;
