//! Reads answers off a socket: just enough to know where one ends and that it is good. Of HTTP/1.1 that is a `200`.

use std::io::Read;

use anyhow::{Context as _, bail};

use super::postgres;

/// Bytes that an answer may have, head included.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http,
    /// PostgreSQL's own, version 3.
    Postgres,
}

/// A reader of answers, one after another.
pub(super) struct Answers {
    protocol: Protocol,
    buffer: Box<[u8]>,
}

impl Answers {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, buffer: vec![0; ANSWER_BYTES_MAX].into() }
    }

    /// Reads one answer, and gives its length in bytes.
    ///
    /// # Errors
    /// If the connection ends, the answer is not a `200` with a length, or more follows it.
    pub(super) fn read(&mut self, socket: &mut impl Read) -> anyhow::Result<usize> {
        let mut filled = 0;
        let mut length = None;
        loop {
            let room = &mut self.buffer[filled..];
            let read = socket.read(room).context("no answer comes")?;
            if read == 0 {
                bail!(
                    "the connection ended after {filled} bytes of an answer (or it has more than {ANSWER_BYTES_MAX})"
                );
            }
            filled += read;
            if length.is_none() {
                let bytes = &self.buffer[..filled];
                length = match self.protocol {
                    Protocol::Http => head(bytes)?.map(|(head, body)| head + body),
                    Protocol::Postgres => postgres::end(bytes)?,
                };
            }
            match length {
                Some(length) if filled == length => return Ok(length),
                Some(length) if filled > length => bail!("{} bytes follow an answer", filled - length),
                _ => {}
            }
        }
    }

    /// What the answer that was read last says, which has `length` bytes: a body, or the first value of a row.
    ///
    /// # Errors
    /// If it says nothing.
    pub(super) fn content(&self, length: usize) -> anyhow::Result<&[u8]> {
        let bytes = &self.buffer[..length];
        match self.protocol {
            Protocol::Http => head(bytes)?.map(|(head, _)| &bytes[head..]).context("an answer without an end"),
            Protocol::Postgres => postgres::value(bytes).context("an answer without a row"),
        }
    }
}

/// The bytes of the answer's head and of its body, if the head is complete.
fn head(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        bail!("expected 200, found {}", String::from_utf8_lossy(&bytes[..bytes.len().min(600)]));
    }
    let name = b"\r\ncontent-length: ";
    let head = &bytes[..end];
    let Some(at) = head.windows(name.len()).position(|own| own.eq_ignore_ascii_case(name)) else {
        bail!("an answer without a length: {}", String::from_utf8_lossy(head));
    };
    let digits = head[at + name.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0_usize, |number, digit| number.saturating_mul(10) + usize::from(digit - b'0'));
    Ok(Some((end + 4, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of so many.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(self.1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn an_answer_ends_where_its_length_says_however_it_comes() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nx: y\r\n\r\nhello world";
        for piece in 1..=bytes.len() {
            let mut answers = Answers::new(Protocol::Http);
            assert_eq!(answers.read(&mut Pieces(bytes, piece)).unwrap(), bytes.len());
            assert_eq!(answers.content(bytes.len()).unwrap(), b"hello world");
        }
        let no_body = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(Answers::new(Protocol::Http).read(&mut Pieces(no_body, 99)).unwrap(), no_body.len());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (bytes, what) in [
            (&b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..], "404"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "without a length"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab", "ended"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", "follow"),
            (b"", "ended"),
        ] {
            let error = Answers::new(Protocol::Http).read(&mut Pieces(bytes, 99)).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
