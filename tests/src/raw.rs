//! Bytes on a socket: what no well-behaved client sends.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Sends `bytes` as they are and reads all that the other side says before it closes; nothing, if it closes without a
/// word. Panics if it does not close within `patience`.
pub fn speak(address: &str, bytes: &[u8], patience: Duration) -> String {
    listen(send(address, bytes, patience))
}

/// As [`speak`], and says that no more will come: the end of a request that was cut short.
pub fn speak_and_end(address: &str, bytes: &[u8], patience: Duration) -> String {
    let stream = send(address, bytes, patience);
    // The other side may have closed already.
    let _ = stream.shutdown(Shutdown::Write);
    listen(stream)
}

fn send(address: &str, bytes: &[u8], patience: Duration) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
    stream.set_read_timeout(Some(patience)).expect("a socket has timeouts");
    stream.set_write_timeout(Some(patience)).expect("a socket has timeouts");
    // A server may answer and close before it has read all of a request that it refuses.
    let _ = (&stream).write_all(bytes);
    stream
}

fn listen(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = || String::from_utf8_lossy(&said).into_owned();
        match stream.read(&mut buffer) {
            Ok(0) => return text(),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the node does not end the conversation; it said `{}`", text());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Reset: closed while something of ours was unread.
            Err(_) => return text(),
        }
    }
}

/// The status of an answer that starts as HTTP answers do.
pub fn status(said: &str) -> Option<u16> {
    said.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}
