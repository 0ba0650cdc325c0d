//! Bytes on a socket: what no well-behaved client sends.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Sends `bytes` as they are, says that no more will come, and reads all that the other side says before it closes.
/// Nothing, if it closes without a word.
pub fn speak(address: &str, bytes: &[u8]) -> String {
    converse(address, bytes, true)
}

/// As [`speak`], but leaves the connection open, as if more were to come, until the other side closes it.
/// Panics if it does not within `patience`.
pub fn fall_silent(address: &str, bytes: &[u8], patience: Duration) -> String {
    let mut stream = connect(address, patience);
    send(&mut stream, bytes);
    listen(&mut stream).unwrap_or_else(|said| panic!("the node kept a silent connection; it said `{said}`"))
}

fn converse(address: &str, bytes: &[u8], ends: bool) -> String {
    let mut stream = connect(address, Duration::from_secs(60));
    send(&mut stream, bytes);
    if ends {
        // The other side may have closed already.
        let _ = stream.shutdown(Shutdown::Write);
    }
    listen(&mut stream).unwrap_or_else(|said| panic!("the node did not end the conversation; it said `{said}`"))
}

fn connect(address: &str, patience: Duration) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
    stream.set_read_timeout(Some(patience)).expect("a socket has timeouts");
    stream.set_write_timeout(Some(patience)).expect("a socket has timeouts");
    stream
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    // A server may answer and close before it has read all of a request that it refuses.
    let _ = stream.write_all(bytes);
}

/// All that comes before the end; an error with the same if the end does not come.
fn listen(stream: &mut TcpStream) -> Result<String, String> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(text(&said)),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(text(&said));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Reset: closed while something of ours was unread.
            Err(_) => return Ok(text(&said)),
        }
    }
}

/// The status of an answer that starts as HTTP answers do.
pub fn status(said: &str) -> Option<u16> {
    said.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}
