//! How many strict signature checks this machine makes in a second, on all cores: the measure for imports and audits.

use std::thread;
use std::time::Instant;

use writ_proto::hash::Domain;
use writ_proto::key::SecretKey;

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let key = SecretKey::from_seed(&[7; 32]);
    let messages: Vec<Vec<u8>> =
        (0..256_u32).map(|n| [Domain::Record.tag(), &[0; 180], &n.to_le_bytes()].concat()).collect();
    let signed: Vec<_> = messages.iter().map(|message| (message, key.sign_in(Domain::Record, message))).collect();
    let public = key.public();
    let rounds = 80;
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                for _ in 0..rounds {
                    assert!(signed.iter().all(|(message, signature)| public.verify(message, signature).is_ok()));
                }
            });
        }
    });
    let made = (cores * rounds * signed.len()) as f64;
    println!("{:.0} checks/s on {cores} cores", made / start.elapsed().as_secs_f64());
}
