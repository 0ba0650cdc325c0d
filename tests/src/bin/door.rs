//! A way into another network namespace: `ip netns exec NAMESPACE door HOST:PORT`, with a listening socket of the outer
//! network as standard input. What connects there is connected to HOST:PORT in here. A socket belongs to the network that
//! it was made in, so one process has a foot in each.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(inside) = std::env::args().nth(1) else {
        eprintln!("error: no address\nhint: door HOST:PORT, with a listening socket as standard input");
        return ExitCode::from(2);
    };
    let outside = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => TcpListener::from(socket),
        Err(error) => {
            eprintln!("error: standard input is no socket: {error}");
            return ExitCode::FAILURE;
        }
    };
    loop {
        let client = match outside.accept() {
            Ok((client, _)) => client,
            Err(error) => {
                eprintln!("error: cannot accept: {error}");
                return ExitCode::FAILURE;
            }
        };
        // Nobody there: the client sees its connection end, as it would without a door.
        let Ok(server) = TcpStream::connect(&inside) else { continue };
        if let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) {
            std::thread::spawn(move || carry(client, server));
            std::thread::spawn(move || carry(server_too, client_too));
        }
    }
}

/// Carries bytes one way until either side ends, then ends both.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The half that is left may be an answer under way.
    let _ = to.shutdown(Shutdown::Write);
}
