//! Reads HTTP/1.1 answers off a socket: just enough to know where one ends and that it is a `200`.

use std::io::Read;

use anyhow::{Context as _, bail};

/// Bytes that an answer may have, head included.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A reader of answers, one after another.
pub(super) struct Answers {
    buffer: Box<[u8]>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { buffer: vec![0; ANSWER_BYTES_MAX].into() }
    }
}

impl Answers {
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
                length = head(&self.buffer[..filled])?;
            }
            match length {
                Some(length) if filled == length => return Ok(length),
                Some(length) if filled > length => bail!("{} bytes follow an answer", filled - length),
                _ => {}
            }
        }
    }
}

/// The bytes of the whole answer, if its head is complete.
fn head(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
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
    Ok(Some(end + 4 + body))
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
            assert_eq!(Answers::default().read(&mut Pieces(bytes, piece)).unwrap(), bytes.len());
        }
        let no_body = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(Answers::default().read(&mut Pieces(no_body, 99)).unwrap(), no_body.len());
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
            let error = Answers::default().read(&mut Pieces(bytes, 99)).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
