//! PostgreSQL's own protocol: just enough to ask one prepared statement over and over.
//!
//! ```text
//!   open     StartupMessage; Parse, Sync          once for each connection
//!   ask      Bind, Execute, Sync                  bytes that were made beforehand, like a request of HTTP
//!   answer   BindComplete, DataRow, ..., ReadyForQuery
//! ```
//!
//! A driver would cost processor time that would count as the server's, on the cores that both share. All values are
//! texts. Only servers that trust their callers are spoken to.
//!
//! Source: PostgreSQL 15, chapter 55, *Frontend/Backend Protocol*, version 3.0.

use anyhow::bail;

/// Version 3.0 of the protocol.
const VERSION: i32 = 196_608;

/// What a new connection sends, in two messages that are each answered: who it is, and its one statement.
pub(crate) fn opening(user: &str, database: &str, statement: &str) -> Vec<Vec<u8>> {
    let mut start = VERSION.to_be_bytes().to_vec();
    for word in ["user", user, "database", database, ""] {
        text(&mut start, word);
    }
    let mut parse = Vec::new();
    text(&mut parse, "");
    text(&mut parse, statement);
    // The types of all parameters are for the server to find out.
    parse.extend(0_i16.to_be_bytes());
    vec![[&length(&start)[..], &start].concat(), [message(b'P', &parse), message(b'S', b"")].concat()]
}

/// The request that executes the statement with these values.
pub(crate) fn request(values: &[&str]) -> Vec<u8> {
    let mut bind = Vec::new();
    // The unnamed portal of the unnamed statement; all values as texts.
    text(&mut bind, "");
    text(&mut bind, "");
    bind.extend(0_i16.to_be_bytes());
    bind.extend((values.len() as i16).to_be_bytes());
    for value in values {
        bind.extend((value.len() as i32).to_be_bytes());
        bind.extend(value.as_bytes());
    }
    bind.extend(0_i16.to_be_bytes());
    let mut execute = Vec::new();
    text(&mut execute, "");
    execute.extend(0_i32.to_be_bytes());
    [message(b'B', &bind), message(b'E', &execute), message(b'S', b"")].concat()
}

/// The texts as an array: `{"a","b"}`.
pub(crate) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    format!("{{{}}}", texts.into_iter().map(quoted).collect::<Vec<_>>().join(","))
}

/// The length of an answer, if it is complete: up to the message with which the server is ready again.
///
/// # Errors
/// If the server reports an error.
pub(super) fn end(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut at = 0;
    while let Some((kind, content)) = next(&bytes[at..]) {
        at += 5 + content.len();
        match kind {
            b'Z' => return Ok(Some(at)),
            b'E' => bail!("PostgreSQL says {}", String::from_utf8_lossy(content).replace('\0', " ")),
            _ => {}
        }
    }
    Ok(None)
}

/// The first value of the first row of an answer.
pub(super) fn value(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some((kind, content)) = next(&bytes[at..]) {
        at += 5 + content.len();
        if kind == b'D' {
            let (_, rest) = content.split_at_checked(2)?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            return rest.get(..usize::try_from(i32::from_be_bytes(*length)).ok()?);
        }
    }
    None
}

/// The kind and the content of the message that `bytes` begin with, if it is complete.
fn next(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let length = rest.first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    Some((*kind, rest.get(4..length)?))
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &length(content), content].concat()
}

/// The length of a message, which counts itself.
fn length(content: &[u8]) -> [u8; 4] {
    (content.len() as i32 + 4).to_be_bytes()
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BindComplete, a row with the value `t`, CommandComplete, ReadyForQuery.
    fn answer() -> Vec<u8> {
        let row = [&1_i16.to_be_bytes()[..], &1_i32.to_be_bytes(), b"t"].concat();
        [message(b'2', b""), message(b'D', &row), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat()
    }

    #[test]
    fn an_answer_ends_when_the_server_is_ready_again() {
        let answer = answer();
        for length in 0..answer.len() {
            assert_eq!(end(&answer[..length]).unwrap(), None, "{length} bytes of it");
        }
        assert_eq!(end(&answer).unwrap(), Some(answer.len()));
        assert_eq!(value(&answer), Some(&b"t"[..]));
        assert_eq!(value(&message(b'Z', b"I")), None);
    }

    #[test]
    fn what_the_server_complains_about_is_told() {
        let bytes = message(b'E', b"SERROR\0Mno such function\0\0");
        assert!(end(&bytes).unwrap_err().to_string().contains("no such function"));
    }

    #[test]
    fn a_request_is_made_of_whole_messages() {
        let request = request(&["{\"a\"}", "7"]);
        let mut kinds = Vec::new();
        let mut at = 0;
        while let Some((kind, content)) = next(&request[at..]) {
            kinds.push(kind);
            at += 5 + content.len();
        }
        assert_eq!((kinds.as_slice(), at), (&b"BES"[..], request.len()));
        assert_eq!(array(["a", "b\"\\"]), r#"{"a","b\"\\"}"#);
    }
}
