//! Signs a grant with a key file and appends it; the proof in the receipt is checked on the way.
//!
//! ```text
//! cargo run --example submit -- http://127.0.0.1:7001 dev.key alice read file:plan.txt
//! ```

use std::error::Error;
use std::path::Path;

use writ_client::author::{Author, random_nonce};
use writ_client::client::{Client, Wait};
use writ_client::clock;
use writ_client::keys::KeyFile;
use writ_proto::api::Tuple;
use writ_proto::record::Body;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, key, sub, act, obj] = arguments.as_slice() else {
        return Err("expected NODE KEYFILE SUBJECT ACTION OBJECT".into());
    };
    let client = Client::new([node])?;
    let key = KeyFile::read(Path::new(key))?.open(None)?;
    let author = Author::find(&client, key, None, None)?;

    let tuple = Tuple { sub: sub.clone(), act: Some(act.clone()), obj: obj.clone(), ..Tuple::default() };
    let record = author.sign(random_nonce()?, Body::Access(tuple.to_access()?), clock::now())?;
    let receipt = client.submit(&record, Wait::Committed)?;
    match receipt.place {
        Some(place) => println!("{} is in the log at index {}, height {}", receipt.id, place.index, place.height),
        None => println!("{} waits for a block", receipt.id),
    }
    Ok(())
}
