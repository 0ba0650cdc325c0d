//! Server-sent events, as HTML 9.2.6 reads them ("interpreting an event stream").
//!
//! Bytes go in as they come, messages come out when they are whole. What the stream breaks off in the middle of is lost,
//! as the standard asks: its id was not taken in, so it is told again.

use std::mem::take;

/// Bytes of one message at most: many times what a node ever sends.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its kind; `message` if it has none.
    pub(super) event: String,
    /// Its lines.
    pub(super) data: String,
    /// The last id that stood in the stream; an empty one is none.
    pub(super) id: Option<String>,
}

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    /// Whether a line was ended by a carriage return: a line feed right behind it belongs to that.
    is_behind_return: bool,
    is_behind_first_line: bool,
    event: String,
    data: String,
    id: String,
}

/// A message is larger than any that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tells an event of more than {MESSAGE_BYTES_MAX} bytes")]
pub(super) struct TooLarge;

impl Parser {
    /// Reads on, and gives the messages that became whole.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLarge> {
        let mut messages = Vec::new();
        for byte in bytes {
            let is_second_half = take(&mut self.is_behind_return) && *byte == b'\n';
            match byte {
                _ if is_second_half => {}
                b'\n' | b'\r' => {
                    self.is_behind_return = *byte == b'\r';
                    let line = take(&mut self.line);
                    messages.extend(self.line(&String::from_utf8_lossy(&line)));
                }
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > MESSAGE_BYTES_MAX {
                return Err(TooLarge);
            }
        }
        Ok(messages)
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        let is_first = !std::mem::replace(&mut self.is_behind_first_line, true);
        let line = if is_first { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event = value.into(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.id = value.into(),
            // A comment, `retry` (we have our own pauses), or what nobody knows.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Message> {
        let (event, mut data) = (take(&mut self.event), take(&mut self.data));
        if data.is_empty() {
            return None;
        }
        data.truncate(data.len() - 1);
        let event = if event.is_empty() { "message".into() } else { event };
        let id = (!self.id.is_empty()).then(|| self.id.clone());
        Some(Message { event, data, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, data: &str, id: Option<&str>) -> Message {
        Message { event: event.into(), data: data.into(), id: id.map(Into::into) }
    }

    #[test]
    fn streams_are_read_as_the_standard_shows() {
        let plain = |data| message("message", data, None);
        for (case, stream, want) in [
            ("two lines of data", "data: YHOO\ndata: +2\ndata: 10\n\n", vec![plain("YHOO\n+2\n10")]),
            (
                "comments, ids, and an id that is taken back",
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                vec![message("message", "first event", Some("1")), plain("second event"), plain(" third event")],
            ),
            ("empty data, and what is not ended", "data\n\ndata\ndata\n\ndata:", vec![plain(""), plain("\n")]),
            ("with and without a space", "data:test\n\ndata: test\n\n", vec![plain("test"), plain("test")]),
            (
                "kinds of events",
                "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
                vec![message("add", "73857293", None), message("remove", "2153", None), message("add", "113411", None)],
            ),
            (
                "an id stays",
                "id: 1\ndata: a\n\ndata: b\n\n",
                vec![message("message", "a", Some("1")), message("message", "b", Some("1"))],
            ),
            ("an id alone counts", "id: 7\n\ndata: a\n\n", vec![message("message", "a", Some("7"))]),
            ("an event without data is none", "event: add\n\ndata: a\n\n", vec![plain("a")]),
            ("an id with a null is no id", "id: 1\nid: a\0b\ndata: a\n\n", vec![message("message", "a", Some("1"))]),
            ("a byte order mark", "\u{feff}data: a\n\n\u{feff}data: b\n\n", vec![plain("a")]),
            ("unknown fields", "date: x\nretry: 5\nDATA: x\ndata: a\n\n", vec![plain("a")]),
            ("a field that is a colon", ":\n:data: x\ndata: :a\n\n", vec![plain(":a")]),
            (
                "carriage returns",
                "data: a\r\rdata: b\r\n\r\ndata: c\n\r\n\rdata: d\r\n\n",
                vec![plain("a"), plain("b"), plain("c"), plain("d")],
            ),
            ("what is not ended is not told", "data: a\n\ndata: b\n", vec![plain("a")]),
            ("nothing", "", vec![]),
        ] {
            let whole = Parser::default().push(stream.as_bytes());
            assert_eq!(whole.as_ref(), Ok(&want), "{case}");
            // In whatever pieces it comes.
            for size in [1, 2, 3, 7] {
                let mut parser = Parser::default();
                let pieces = stream.as_bytes().chunks(size).flat_map(|piece| parser.push(piece).unwrap());
                assert_eq!(pieces.collect::<Vec<_>>(), want, "{case}, {size} bytes at a time");
            }
        }
    }

    #[test]
    fn no_message_grows_without_bound() {
        let long = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(Parser::default().push(&long), Err(TooLarge));
        let mut parser = Parser::default();
        let lines = (0..).map(|_| parser.push(b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"));
        assert_eq!(lines.take(1_000_000).find_map(Result::err), Some(TooLarge));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let told = Parser::default().push(b"\xff\xfe\0: \r\r\ndata: \xc3\n\ndata\xe2\x82\n\n").unwrap();
        assert_eq!(told, [message("message", "\u{fffd}", None)]);
    }
}
