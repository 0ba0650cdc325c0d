//! The machine's own measure for whatever takes records in: strict Ed25519 checks per second on all cores.
//!
//! Nobody who checks every signature once can be faster, so rates of records stand beside it.

use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, Signer as _, SigningKey};

use crate::figure::{Figure, Section, Unit};
use crate::run::Run;

/// Bytes of a message: about those of a record.
const MESSAGE_BYTES: usize = 200;
/// Messages for each thread, so that they are not always in the cache.
const MESSAGES: usize = 1_000;

/// Measures it, as the figure `{part}/verify`, whose id it gives.
pub(crate) fn measure(run: &Run, section: &mut Section) -> String {
    let time = Duration::from_millis(if run.short { 20 } else { 1_000 });
    let values = (0..run.repetitions).map(|_| rate(time)).collect();
    let id = format!("{}/verify", section.part);
    section.figure(Figure::new(id, "strict signature checks on all cores", Unit::PerSecond, values))
}

/// Checks per second of all cores together, over `time`.
fn rate(time: Duration) -> f64 {
    let key = SigningKey::from_bytes(&[7; 32]);
    let message = |number: usize| [&number.to_le_bytes()[..], &[0; MESSAGE_BYTES - 8]].concat();
    let signed: Vec<(Vec<u8>, Signature)> =
        (0..MESSAGES).map(|number| (message(number), key.sign(&message(number)))).collect();
    let (key, signed) = (key.verifying_key(), &signed);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let checked: u64 = std::thread::scope(|scope| {
        let count = || {
            let (start, mut checked) = (Instant::now(), 0_u64);
            for (message, signature) in signed.iter().cycle() {
                assert!(key.verify_strict(message, signature).is_ok(), "a signature of our own");
                checked += 1;
                if start.elapsed() >= time {
                    break;
                }
            }
            checked
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    checked as f64 / time.as_secs_f64()
}
